"""What every Linux tells: frequency, load, memory, how long it runs, what it runs on."""

import re
from pathlib import Path
from typing import Final

from littoral.board.files import found, numbers, text

_KIB_PER_MIB: Final = 1024
_PC: Final = ("sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name")


def frequency_mhz(root: Path) -> float | None:
    """Return the mean of all cores, as the kernel believes it.

    A Raspberry Pi's firmware may run slower than that: then it says that it is throttled.
    """
    values = [
        khz / 1000
        for khz in numbers(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    ]
    if not values:
        said = text(root / "proc/cpuinfo") or ""
        values = [float(mhz) for mhz in re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", said, re.MULTILINE)]
    return sum(values) / len(values) if values else None


def load(root: Path) -> float | None:
    """Return the mean of the last minute."""
    return _first_number(root / "proc/loadavg")


def uptime_s(root: Path) -> float | None:
    return _first_number(root / "proc/uptime")


def memory_mib(root: Path) -> tuple[float | None, float | None]:
    """Return how much there is, and how much of it programs may still take."""
    said = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text(root / "proc/meminfo") or "", re.MULTILINE))
    whole, free = said.get("MemTotal"), said.get("MemAvailable")
    return (
        None if whole is None else int(whole) / _KIB_PER_MIB,
        None if free is None else int(free) / _KIB_PER_MIB,
    )


def free_bytes(root: Path = Path("/")) -> int | None:
    """Return how much memory programs may still take, where the kernel tells."""
    free = memory_mib(root)[1]
    return None if free is None else round(free * _KIB_PER_MIB * 1024)


def boot(root: Path) -> str:
    return text(root / "proc/sys/kernel/random/boot_id") or ""


def cores(root: Path) -> int:
    return sum(1 for _ in found(root, "sys/devices/system/cpu/cpu[0-9]*"))


def model(root: Path) -> str:
    """Return what the board calls itself: by its device tree, else as PCs do."""
    said = text(root / "proc/device-tree/model")
    return (said or " ".join(word for path in _PC if (word := text(root / path))))[:64]


def _first_number(path: Path) -> float | None:
    try:
        return float((text(path) or "").split()[0])
    except (ValueError, IndexError):
        return None
