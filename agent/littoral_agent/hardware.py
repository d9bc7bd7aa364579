"""What models could run on here, by the names that manifests use. Looks at files alone.

Only what is sure is claimed. CUDA and TensorRT also need a runtime that the agent does not
load: they are named in agent.toml.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from littoral import machine
from littoral.bundle.manifest import Hardware

# A stick shows the first pair until its firmware is loaded, then the second.
_USB_STICKS: Final = {("1a6e", "089a"), ("18d1", "9302")}


def detect(root: Path = Path("/")) -> tuple[Hardware, ...]:
    """Return what is found below ``root``, the CPU last."""
    return tuple(_found(root))


def serial(root: Path = Path("/")) -> str:
    """Return the board's serial number as far as it tells, else the machine's id, else nothing."""
    for name in ("proc/device-tree/serial-number", "etc/machine-id"):
        try:
            text = (root / name).read_text(errors="replace").strip("\0 \n")
        except OSError:
            continue
        if text and text != "uninitialized":  # systemd's, in an image that has not booted yet
            return text[:64]
    return ""


def is_stick(device: Path) -> bool:
    """Whether ``device``, a folder of the kernel's, is an Edge TPU on USB."""
    try:
        vendor = (device / "idVendor").read_text().strip()
        return (vendor, (device / "idProduct").read_text().strip()) in _USB_STICKS
    except OSError:
        return False


def _found(root: Path) -> Iterator[Hardware]:
    # As a service the agent sees no devices, and the driver's class all the same.
    if any((root / place).exists() for place in ("dev/apex_0", "sys/class/apex/apex_0")):
        yield "edgetpu-pcie"
    if any(is_stick(device) for device in root.glob("sys/bus/usb/devices/*")):
        yield "edgetpu-usb"
    if (cpu := machine.cpu()) is not None:
        yield cpu
