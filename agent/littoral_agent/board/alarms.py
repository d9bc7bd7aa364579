"""What of a reading somebody should look at. Pure.

An alarm is told at once, and holds for an hour after it was last so: a board that throttles
every other minute says so once, and not sixty times an hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from littoral.board.heat import HOT_C
from littoral.wire.board import Board, Reading

HOLD_S: Final = 3600.0
LOST: Final = "accelerator-lost"  # serve says so: no reading shows it
NAMES: Final = ("hot", "throttled", "under-voltage", "memory-low", "disk-low", LOST)
HOT_ACCELERATOR_C: Final = 85.0  # where the Edge TPU's driver first lowers its clock
LOW_MEMORY: Final = 0.05  # of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    hot_c: float = HOT_C
    disk_low_mib: float = 128.0


def of(reading: Reading, board: Board, limits: Limits) -> frozenset[str]:
    """Return the names of what is not well now."""
    told = {
        "hot": _above(reading.temperature_c, limits.hot_c)
        or _above(reading.accelerator_c, HOT_ACCELERATOR_C),
        "throttled": reading.throttled,
        "under-voltage": reading.under_voltage,
        "memory-low": memory_low(reading.memory_free_mib, board.memory_mib),
        "disk-low": _below(reading.disk_free_mib, limits.disk_low_mib),
    }
    return frozenset(name for name, is_so in told.items() if is_so)


def memory_low(free_mib: float | None, whole_mib: float) -> bool:
    """Tell whether programs may take so little of the board's memory that somebody should look."""
    return _below(free_mib, whole_mib * LOW_MEMORY)


def held(since: Mapping[str, float], now_s: float) -> tuple[str, ...]:
    """Return the names of what was so within the last hour; ``since`` says when last."""
    return tuple(name for name in NAMES if name in since and now_s - since[name] < HOLD_S)


def _above(value: float | None, limit: float) -> bool:
    return value is not None and value >= limit


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit
