"""Accelerators that the kernel sees, and versions of the libraries that would drive them.

Nothing is opened or loaded: whether one works is serve's to try, and doctor's.
"""

import json
import re
from collections.abc import Iterator
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Final

from littoral.board.files import found, text
from littoral_agent import hardware

_LIBRARIES: Final = ("usr/lib/*-linux-gnu*", "usr/lib", "usr/local/lib")
_MOST: Final = 8
_LITERT: Final = ("ai-edge-litert", "tflite-runtime")


def named(root: Path) -> tuple[str, ...]:
    """Return a name for each; a stick may be pulled at any time."""
    return tuple(islice(_named(root), _MOST))


def runtimes(root: Path) -> dict[str, str]:
    """Return by library its version, as its package or its file tells it."""
    said = {
        "libedgetpu": _edgetpu(root),
        "cuda": _cuda(root),
        "tensorrt": _file_version(root, "libnvinfer.so"),
        "l4t": _l4t(root),
        "nvidia": _driver(root),
        **{name: _installed(name) for name in _LITERT},
    }
    return {name: version[:32] for name, version in said.items() if version}


def _named(root: Path) -> Iterator[str]:
    for device in found(root, "sys/class/apex/apex_*"):
        yield f"Edge TPU, PCIe, {device.name}"
    for device in found(root, "sys/bus/usb/devices/*"):
        if hardware.is_stick(device):
            yield f"Edge TPU, USB, {device.name}"
    for gpu in found(root, "proc/driver/nvidia/gpus/*/information"):
        model = re.search(r"^Model:\s*(.+)$", text(gpu) or "", re.MULTILINE)
        yield (model[1] if model else "NVIDIA GPU")[:64]
    if "nvidia,tegra" in (text(root / "proc/device-tree/compatible") or ""):
        yield "Tegra GPU"


def _edgetpu(root: Path) -> str | None:
    """Return what Debian's package says, or the number in the library's name."""
    try:
        with (root / "var/lib/dpkg/status").open(errors="replace") as lines:
            for line in lines:
                if line.startswith("Package: libedgetpu1-"):
                    break
            for line in lines:
                if line.startswith("Version: "):
                    return line.removeprefix("Version: ").strip()
    except OSError:
        pass
    return _file_version(root, "libedgetpu.so")


def _file_version(root: Path, name: str) -> str | None:
    """Return the longest number after the library's name."""
    versions = {
        path.name.removeprefix(f"{name}.")
        for folder in _LIBRARIES
        for path in found(root, f"{folder}/{name}.[0-9]*")
    }
    return max(versions, key=len, default=None)


def _cuda(root: Path) -> str | None:
    try:
        said = json.loads(text(root / "usr/local/cuda/version.json") or "")
        return str(said["cuda"]["version"])
    except (ValueError, LookupError, TypeError):
        return None


def _l4t(root: Path) -> str | None:
    found = re.match(
        r"# R(\d+) \(release\), REVISION: ([\d.]+)", text(root / "etc/nv_tegra_release") or ""
    )
    return f"{found[1]}.{found[2]}" if found else None


def _driver(root: Path) -> str | None:
    found = re.search(
        r"Kernel Module.*?\s([\d.]+)\s", text(root / "proc/driver/nvidia/version") or ""
    )
    return found[1] if found else None


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
