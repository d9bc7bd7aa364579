"""One look at the whole board, and what it is."""

from pathlib import Path

from littoral.board import heat, kernel, power
from littoral.board.power import Seen
from littoral.wire.board import Board, Reading
from littoral_agent.board import accelerators, disk


def take(root: Path, folder: Path, before: Seen | None) -> tuple[Reading, Seen]:
    """Return how the board is, and what the next look compares with; data lies in ``folder``."""
    seen = power.look(root, before)
    reading = Reading(
        temperature_c=_short(heat.temperature_c(root)),
        accelerator_c=_short(heat.accelerator_c(root)),
        frequency_mhz=_short(kernel.frequency_mhz(root)),
        load=_short(kernel.load(root), 2),
        memory_free_mib=_short(kernel.memory_mib(root)[1]),
        disk_free_mib=_short(disk.room_mib(folder)[1]),
        uptime_s=_short(kernel.uptime_s(root), 0),
        throttled=seen.throttled,
        under_voltage=seen.under_voltage,
    )
    return reading, seen


def describe(root: Path, folder: Path) -> Board:
    """Return what the board is."""
    return Board(
        model=kernel.model(root),
        boot=kernel.boot(root),
        cores=kernel.cores(root),
        memory_mib=round(kernel.memory_mib(root)[0] or 0),
        disk_mib=round(disk.room_mib(folder)[0] or 0),
        accelerators=accelerators.named(root),
        runtimes=accelerators.runtimes(root),
    )


def _short(value: float | None, places: int = 1) -> float | None:
    return None if value is None else round(value, places)
