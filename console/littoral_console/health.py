"""How a board is, in words, on pages and in terminals. Values in, text out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from littoral.sizes import mib
from littoral.wire.board import SPREADS, Board, BoardWindow, Reading
from littoral_console.figures import many

if TYPE_CHECKING:  # terminals know no database
    from littoral_console.queries import Device

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Symptom:
    """What of a board somebody should look at, and what to do."""

    text: str
    meaning: str
    tone: Literal["busy", "bad"] = "bad"


_NEWER: Final = "A device that is newer than this console says this."
_SYMPTOMS: Final[dict[str, Symptom]] = {
    "hot": Symptom(
        "hot",
        "As hot as where the board slows itself, or more. Give it air, shade or a heat sink.",
    ),
    "throttled": Symptom(
        "throttled",
        "It ran slower than it could, for heat or lack of power: latencies grow by that.",
        "busy",
    ),
    "under-voltage": Symptom(
        "under-voltage",
        "Its supply gives too little. Take a stronger one or a shorter cable: cards break by this.",
    ),
    "memory-low": Symptom(
        "memory low", "Less than a twentieth is free: the next model may not fit.", "busy"
    ),
    "accelerator-lost": Symptom(
        "accelerator lost", "Models run on the processor, more slowly. Look at its cable and port."
    ),
    "disk-low": Symptom("disk low", "Too little room for the next download. Free some."),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what is known of a board."""

    name: str
    value: str
    note: str = ""


def symptoms(device: "Device") -> list[Symptom]:
    """Return what is to be looked at, of a device that still is one."""
    if device.board is None or device.revoked_ms is not None:
        return []
    return said(device.board.alarms)


def said(alarms: Iterable[str]) -> list[Symptom]:
    """Return what a device's alarms mean."""
    return [_SYMPTOMS.get(name) or Symptom(name, _NEWER) for name in alarms]


def facts(board: Board | None, window: BoardWindow | None) -> list[Fact]:
    """Return what the board told last: its status and its last window, whichever has it."""
    board = board or Board()
    now = reading(board.now, window)
    found = [
        Fact("Temperature", _c(now.temperature_c), _accelerator(now.accelerator_c)),
        Fact("Load", "" if now.load is None else f"{now.load:.2f}", _of_cores(board.cores)),
        Fact("Frequency", "" if now.frequency_mhz is None else f"{now.frequency_mhz:,.0f} MHz"),
        Fact("Memory free", _room(now.memory_free_mib), _of(board.memory_mib)),
        Fact("Disk free", _room(now.disk_free_mib), _of(board.disk_mib)),
        Fact("Running for", uptime(now.uptime_s)),
    ]
    return [one for one in found if one.value]


def reading(now: Reading | None, window: BoardWindow | None) -> Reading:
    """Return the means of the last window, else what the status said."""
    if window is None:
        return now or Reading()
    means = {one.name: s.mean for one in SPREADS if (s := getattr(window, one.name)) is not None}
    return Reading(
        **means,
        disk_free_mib=window.disk_free_mib,
        uptime_s=window.uptime_s,
        throttled=window.throttled > 0,
        under_voltage=window.under_voltage > 0,
    )


def temperature(window: BoardWindow) -> str:
    """Return what it was in the window, in short."""
    found = window.temperature_c or window.accelerator_c
    return "" if found is None else f"{found.mean:.0f} °C"


def uptime(seconds: float | None) -> str:
    """Return how long that is, in its two largest units."""
    if seconds is None:
        return ""
    if seconds >= _DAY_S:
        return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:.0f} h"
    return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"


def _c(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} °C"


def _accelerator(value: float | None) -> str:
    return "" if value is None else f"accelerator {value:.1f} °C"


def _of(whole_mib: int) -> str:
    return f"of {_room(whole_mib)}" if whole_mib else ""


def _of_cores(cores: int) -> str:
    return f"on {many(cores, 'core')}" if cores else ""


def _room(free_mib: float | None) -> str:
    return "" if free_mib is None else mib(free_mib)
