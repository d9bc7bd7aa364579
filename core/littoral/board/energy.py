"""The power that the board says it takes, by its kernel's hwmon sensors."""

from pathlib import Path
from typing import Final

from littoral.board.files import found, number, text

_WHOLE: Final = ("VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "5V_IN")  # rails that feed all others
_SANE_W: Final = (0.0, 1000.0)


def power_w(root: Path) -> float | None:
    """Return what the whole board takes.

    That of the rail which feeds the others, where the board has such a one; else that of the
    greatest: rails feed each other, so a sum would count some power twice.
    """
    rails = [
        rail
        for chip in found(root, "sys/class/hwmon/hwmon*")
        for rail in (*_powers(chip), *_products(chip))
    ]
    sane = [(label, watts) for label, watts in rails if _SANE_W[0] < watts < _SANE_W[1]]
    whole = [watts for label, watts in sane if label in _WHOLE]
    return max(whole or [watts for _, watts in sane], default=None)


def _powers(chip: Path) -> list[tuple[str, float]]:
    """Return label and W of what tells power itself, in µW."""
    return [
        (_label(path), micro / 1e6)
        for path in (*found(chip, "power*_input"), *found(chip, "power*_average"))
        if (micro := number(path)) is not None
    ]


def _products(chip: Path) -> list[tuple[str, float]]:
    """Return label and W of what tells voltage (mV) and current (mA): a Jetson's INA3221."""
    told = []
    for path in found(chip, "curr*_input"):
        volts = path.with_name(path.name.replace("curr", "in"))
        milliamperes, millivolts = number(path), number(volts)
        if milliamperes is not None and millivolts is not None:
            told.append((_label(volts), milliamperes * millivolts / 1e6))
    return told


def _label(path: Path) -> str:
    return text(path.with_name(path.name.rpartition("_")[0] + "_label")) or ""
