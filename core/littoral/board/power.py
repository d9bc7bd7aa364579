"""Whether the board is slower than it could be, and whether its power supply is too weak.

A Raspberry Pi's firmware says so itself, in bits of now and bits of since the start. Other
boards' kernels say how often or how much a processor was slowed for heat.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.board.files import found, number, numbers, text

_UNDER_VOLTAGE: Final = 1 << 0
_SLOWER: Final = 1 << 1 | 1 << 2 | 1 << 3  # frequency capped, throttled, soft limit of heat
_SINCE_START: Final = 16  # the same bits again, above: whether it ever was so

FIRMWARE: Final = (
    "sys/devices/platform/soc*/*firmware*/get_throttled",  # soc:firmware, and with an address
    "sys/devices/platform/*firmware*/get_throttled",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look told, and what the next one compares with: minutes pass between two looks."""

    throttled: bool = False
    under_voltage: bool = False
    firmware: int | None = None  # the bits
    slowed: int | None = None  # how often a processor was


def look(root: Path, before: Seen | None = None) -> Seen:
    """Return how it is; what happened and passed since ``before`` counts too."""
    firmware = _firmware(root)
    slowed = _slowed(root)
    live = firmware or 0
    if before is not None and firmware is not None and before.firmware is not None:
        live |= (firmware & ~before.firmware) >> _SINCE_START
    more = slowed is not None and before is not None and slowed > (before.slowed or slowed)
    return Seen(
        throttled=bool(live & _SLOWER) or more or _cooled(root),
        under_voltage=bool(live & _UNDER_VOLTAGE) or _low_alarm(root),
        firmware=firmware,
        slowed=slowed,
    )


def _firmware(root: Path) -> int | None:
    for pattern in FIRMWARE:
        for path in found(root, pattern):
            if (bits := number(path, base=16)) is not None:
                return bits
    return None


def _low_alarm(root: Path) -> bool:
    """Whether the hwmon driver of the Pi's firmware says that the voltage is low."""
    return any(
        text(chip / "name") == "rpi_volt" and number(chip / "in0_lcrit_alarm") == 1
        for chip in found(root, "sys/class/hwmon/hwmon*")
    )


def _slowed(root: Path) -> int | None:
    counts = numbers(root, "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")
    return sum(counts) if counts else None


def _cooled(root: Path) -> bool:
    """Whether the kernel cools by a lower frequency, now."""
    return any(
        "cpufreq" in (text(device / "type") or "") and (number(device / "cur_state") or 0) > 0
        for device in found(root, "sys/class/thermal/cooling_device*")
    )
