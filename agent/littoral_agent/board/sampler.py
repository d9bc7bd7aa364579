"""Looks at the board once a minute and keeps what a window and the status say of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from littoral.board import heat
from littoral.board.power import Seen
from littoral.wire import board as wire
from littoral.wire.board import Board, BoardWindow, Reading
from littoral_agent.board import accelerators, alarms, looking
from littoral_agent.board.alarms import Limits

EVERY_S: Final = 60.0
_MOST: Final = 24 * 60  # readings that wait for a window to end


class Sampler:
    """The readings of the window that is open.

    ``look`` and ``tell`` are one thread's, the rest anybody's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        disk_low_mib: float,
        root: Path = Path("/"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._folder, self._clock = root, folder, clock
        self._limits = Limits(hot_c=heat.hot_c(root), disk_low_mib=disk_low_mib)
        self._lock = threading.Lock()
        self._due_s = clock()
        self._seen: Seen | None = None
        self._since: dict[str, float] = {}
        self._readings: list[Reading] = []
        self._board = looking.describe(root, folder)

    @property
    def board(self) -> Board:
        """Return what the board is, and how it was at the last look."""
        return self._board

    def look(self) -> bool:
        """Look at the board if it is time; return whether there is news, beside figures."""
        now_s = self._clock()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + EVERY_S
        reading, self._seen = looking.take(self._root, self._folder, self._seen)
        for name in alarms.of(reading, self._board, self._limits):
            self._since[name] = now_s
        held = alarms.held(self._since, now_s)
        told = replace(
            self._board, alarms=held, accelerators=accelerators.named(self._root), now=reading
        )
        changed = replace(told, now=self._board.now) != self._board
        self._board = told
        with self._lock:
            self._readings.append(reading)
            del self._readings[:-_MOST]
        return changed

    def tell(self, alarm: str) -> bool:
        """Take note of an alarm that no reading shows; return whether it is news."""
        now_s = self._clock()
        self._since[alarm] = now_s
        held = alarms.held(self._since, now_s)
        changed = held != self._board.alarms
        self._board = replace(self._board, alarms=held)
        return changed

    def window(self) -> BoardWindow | None:
        """Return what all readings since ``forget`` come to."""
        with self._lock:
            return wire.window(self._readings)

    def forget(self, samples: int) -> None:
        """Begin the next window: the first ``samples`` readings are told."""
        with self._lock:
            del self._readings[:samples]
