"""Looks at the board once a second while something else measures, in a thread of its own."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from littoral.board import energy, heat, kernel, power
from littoral.board.power import Seen
from littoral.wire.board import Spread
from littoral_serve.bench.result import Conditions, Glance

_EVERY_S: Final = 1.0
_MOST: Final = 240  # glances that are kept to be drawn


class Watch:
    """What was seen so far."""

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        self._root, self._clock, self._begin = root, clock, clock()
        self._seen: Seen | None = None
        self._glances: list[Glance] = []
        self._low = 0
        self._load = kernel.load(root)

    def look(self) -> None:
        root = self._root
        self._seen = power.look(root, self._seen)
        self._low += self._seen.under_voltage
        self._glances.append(
            Glance(
                at_s=round(self._clock() - self._begin, 2),
                temperature_c=heat.temperature_c(root),
                frequency_mhz=kernel.frequency_mhz(root),
                power_w=energy.power_w(root),
                throttled=self._seen.throttled,
            )
        )

    def told(self) -> Conditions:
        seen = self._glances
        return Conditions(
            samples=len(seen),
            throttled=sum(one.throttled for one in seen),
            under_voltage=self._low,
            temperature_c=_spread([one.temperature_c for one in seen]),
            frequency_mhz=_spread([one.frequency_mhz for one in seen]),
            power_w=_spread([one.power_w for one in seen]),
            load=self._load,
            course=tuple(seen[:: max(1, -(-len(seen) // _MOST))]),
        )


@contextmanager
def watched(
    *, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic
) -> Iterator[Watch]:
    """Give what is seen from now until the context ends: at its beginning, and every second."""
    watch = Watch(root, clock)
    over = threading.Event()

    def looking() -> None:
        while True:
            watch.look()
            if over.wait(_EVERY_S):
                return

    thread = threading.Thread(target=looking, name="board")
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = sum(known) / len(known)
    low, mean, high = (round(value, 2) for value in (min(known), mean, max(known)))
    return Spread(low=low, mean=mean, high=high)
