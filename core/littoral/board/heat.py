"""Temperatures: of the processor, of accelerators, and where the board begins to slow itself."""

from pathlib import Path
from typing import Final

from littoral.board.files import found, number, numbers, text

HOT_C: Final = 80.0  # where a Raspberry Pi begins to slow itself; a board may name a lower one
_SANE_C: Final = (-60.0, 200.0)  # a sensor without power says anything
_LEAST_TRIP_C: Final = 60.0  # a lower one starts a fan, whatever it is called
_CHIPS: Final = {"coretemp", "k10temp", "cpu_thermal", "zenpower", "soc_thermal"}
_NOT_THE_PROCESSOR: Final = ("batt", "pmic", "charger", "wifi", "iwlwifi", "nvme", "modem", "skin")


def temperature_c(root: Path) -> float | None:
    """Return the hottest part of the processor.

    By the kernel's thermal zones, else by the hwmon chips that are known to be processors'.
    """
    values = [
        value
        for zone in found(root, "sys/class/thermal/thermal_zone*")
        if not _is_elsewhere(text(zone / "type") or "")
        and (value := _degrees(number(zone / "temp"))) is not None
    ]
    if not values:
        values = [
            value
            for chip in found(root, "sys/class/hwmon/hwmon*")
            if text(chip / "name") in _CHIPS
            for milli in numbers(chip, "temp*_input")
            if (value := _degrees(milli)) is not None
        ]
    return max(values, default=None)


def accelerator_c(root: Path) -> float | None:
    """Return the hottest Edge TPU on PCIe; one on USB does not tell."""
    millis = numbers(root, "sys/class/apex/apex_*/temp")
    return max((v for milli in millis if (v := _degrees(milli)) is not None), default=None)


def slows_at_c(root: Path) -> float | None:
    """Return the temperature from which the kernel makes the processor slower."""
    trips = []
    for kind in found(root, "sys/class/thermal/thermal_zone*/trip_point_*_type"):
        if text(kind) == "passive" and not _is_elsewhere(text(kind.parent / "type") or ""):
            value = _degrees(number(kind.with_name(kind.name.replace("_type", "_temp"))))
            if value is not None and value >= _LEAST_TRIP_C:
                trips.append(value)
    return min(trips, default=None)


def hot_c(root: Path) -> float:
    """Return the temperature from which this board is hot: where it slows itself, or as any."""
    slows = slows_at_c(root)
    return HOT_C if slows is None else min(HOT_C, slows)


def _is_elsewhere(kind: str) -> bool:
    return any(word in kind.lower() for word in _NOT_THE_PROCESSOR)


def _degrees(milli: int | None) -> float | None:
    if milli is None:
        return None
    value = milli / 1000
    return value if _SANE_C[0] < value < _SANE_C[1] else None
