"""How much the console carries: how late its event loop is, and what it sends of the repository.

A probe sleeps for a moment, over and over, and sees how much later it wakes: so long everybody
waits who asks the console anything. It does not know what kept the loop busy.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from littoral.resident import resident_bytes
from littoral_console.loop import Turns

EVERY_S: Final = 0.02
SPAN_S: Final = 60.0  # the longest lag is that of this span and of what is over of the next
LATE_S: Final = 0.5  # of which the log tells
BOUNDS_S: Final = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.03,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.5,
    1.0,
    2.0,
)
_log = logging.getLogger(__name__)


class Lag:
    """How late the loop was, since the start and of late."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.counts = [0] * (len(BOUNDS_S) + 1)  # how often it was within each bound, or beyond
        self.sum_s = 0.0
        self._longest_s = self._earlier_s = 0.0
        self._since = clock()

    def note(self, late_s: float) -> None:
        """Count that the loop was so late."""
        late_s = max(0.0, late_s)
        self.counts[bisect_left(BOUNDS_S, late_s)] += 1
        self.sum_s += late_s
        self._turn()
        self._longest_s = max(self._longest_s, late_s)

    @property
    def longest_s(self) -> float:
        """Return the longest lag of the last minute, or of the last two."""
        self._turn()
        return max(self._longest_s, self._earlier_s)

    async def watch(self) -> None:
        """Note how late the loop is, until cancelled."""
        while True:
            due = self._clock() + EVERY_S
            await asyncio.sleep(EVERY_S)
            late_s = self._clock() - due
            self.note(late_s)
            if late_s > LATE_S:
                _log.warning("the event loop was %.1f s late; the machine, or what it did?", late_s)

    def _turn(self) -> None:
        passed = self._clock() - self._since
        if passed < SPAN_S:
            return
        self._earlier_s = self._longest_s if passed < 2 * SPAN_S else 0.0
        self._longest_s, self._since = 0.0, self._clock()


@dataclass(slots=True)
class Load:
    """What is counted, by the event loop alone."""

    lag: Lag = field(default_factory=Lag)
    turns: Turns = field(default_factory=Turns)  # at sending a chunk of a file
    sending: int = 0  # bodies of the repository's files, just now
    sent_bytes: int = 0  # of them
    devices_bytes: int = 0  # of all bodies that devices were sent over HTTPS

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count a body for as long as it is sent."""
        self.sending += 1
        try:
            yield
        finally:
            self.sending -= 1

    def text(self) -> str:
        """Return all of it as Prometheus reads it."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _head("loop_lag_seconds", "histogram", "How late the event loop was.")
        total = 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), self.lag.counts, strict=True):
            total += count
            yield f'littoral_console_loop_lag_seconds_bucket{{le="{bound}"}} {total}'
        yield f"littoral_console_loop_lag_seconds_sum {self.lag.sum_s:.6f}"
        yield f"littoral_console_loop_lag_seconds_count {total}"
        yield from _head("loop_lag_longest_seconds", "gauge", "The longest of the last minute.")
        yield f"littoral_console_loop_lag_longest_seconds {self.lag.longest_s:.6f}"
        yield from _head("repository_sending", "gauge", "Files of the repository on their way.")
        yield f"littoral_console_repository_sending {self.sending}"
        yield from _head("repository_sent_bytes", "counter", "Bytes of them that were sent.")
        yield f"littoral_console_repository_sent_bytes_total {self.sent_bytes}"
        yield from _head("devices_sent_bytes", "counter", "Bytes of all bodies for devices.")
        yield f"littoral_console_devices_sent_bytes_total {self.devices_bytes}"
        if (held := resident_bytes()) is not None:
            yield from _head("resident_bytes", "gauge", "Memory of this process.")
            yield f"littoral_console_resident_bytes {held}"
        yield from _head("cpu_seconds", "counter", "Processor time of this process.")
        yield f"littoral_console_cpu_seconds_total {time.process_time():.3f}"


def _head(name: str, kind: str, words: str) -> tuple[str, str]:
    suffix = "_total" if kind == "counter" else ""
    name = f"littoral_console_{name}{suffix}"
    return f"# HELP {name} {words}", f"# TYPE {name} {kind}"
