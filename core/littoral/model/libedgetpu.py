"""libedgetpu's own words: its version and the TPUs that it lists. Opens none, and needs no runtime.

To call it is to load it into this process, which it may end: for processes that may be lost.
"""

import ctypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LIBRARY: Final = "libedgetpu.so.1"
_MOST: Final = 16
_KINDS: Final = {0: "pci", 1: "usb"}


@dataclass(frozen=True, slots=True)
class Device:
    kind: str  # usb or pci
    path: str  # as the kernel has it: a stick that is plugged in again there has the same


class _Record(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def load(name: str = LIBRARY) -> ctypes.CDLL:
    """Return the library. Raises OSError, and AttributeError where it is another one."""
    library = ctypes.CDLL(name)
    library.edgetpu_version.restype = ctypes.c_char_p
    library.edgetpu_list_devices.restype = ctypes.POINTER(_Record)
    library.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
    return library


def version(library: ctypes.CDLL) -> str:
    """Return as it says it: ``BuildLabel(…), RuntimeVersion(14)``."""
    said: bytes = library.edgetpu_version()
    return said.decode(errors="replace")


def runtime_version(said: str) -> int | None:
    """Return the number in what ``version`` returned, None where there is none."""
    found = re.search(r"RuntimeVersion\((\d{1,6})\)", said)
    return int(found[1]) if found else None


def devices(library: ctypes.CDLL) -> tuple[Device, ...]:
    """Return the TPUs that are plugged in, whoever has them open."""
    count = ctypes.c_size_t()
    held = library.edgetpu_list_devices(ctypes.byref(count))
    return tuple(
        Device(_KINDS.get(one.type, str(one.type)), (one.path or b"").decode(errors="replace"))
        for one in held[: min(count.value, _MOST)]
    )


def named(listed: tuple[Device, ...]) -> Mapping[str, Device]:
    """Return ``listed`` by the names that the library opens them by: usb:0, usb:1, pci:0."""
    found: dict[str, Device] = {}
    for device in listed:
        number = sum(other.kind == device.kind for other in found.values())
        found[f"{device.kind}:{number}"] = device
    return found
