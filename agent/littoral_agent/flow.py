"""How much may be under way over a broker, and how long to wait for it: learnt from what came.

Rules only: it is told what happened, and when. As many bytes are asked for as come in a second,
so that whatever else is said on the line waits no longer behind them; where an answer takes
longer than that, as come in two round trips, for with less the line would never be full; in three,
for as long as each time more comes than ever before.
"""

import random
from collections import deque
from typing import Final

from littoral.wire.blocks import MOST_ASKED

LEAST: Final = 4 * 1024  # bytes under way, also on the slowest line
MOST: Final = 512 * 1024
FIRST: Final = 8 * 1024  # while nothing is known
AHEAD_S: Final = 1.0
_ASKS: Final = 4  # at once, so that one is always on its way
_SAMPLES: Final = 8  # the best of so many says how fast the line is
_GROWTH: Final = 1.25
_LEVEL: Final = 6  # so often no better: this is how fast the line is
_FIRST_PATIENCE_S: Final = 3.0
_LEAST_PATIENCE_S: Final = 2.0
_FIRST_BYTES_S: Final = 4.0  # LEAST, at a kilobyte a second
_MOST_PATIENCE_S: Final = 20.0


class Flow:
    """Of one connection. Not safe to share between threads."""

    def __init__(self) -> None:
        self._rates: deque[float] = deque(maxlen=_SAMPLES)
        self._least_rtt_s: float | None = None
        self._rtt_s = self._spread_s = 0.0
        self._tries, self._jitter = 0, 1.0
        self._measured = False  # whether any bytes came
        self._best, self._level = 0.0, 0  # the best rate so far, and how often it was no better

    @property
    def window(self) -> int:
        """Return how many bytes may be under way."""
        if not self._rates:
            return LEAST if self._tries else FIRST
        trips = 2 if self._level >= _LEVEL else 3  # while more comes every time, more is tried
        ahead_s = max(AHEAD_S, trips * (self._least_rtt_s or 0.0))
        return int(min(max(max(self._rates) * ahead_s, LEAST), MOST))

    @property
    def span(self) -> int:
        """Return how many bytes to ask for at once."""
        return min(max(self.window // _ASKS, LEAST), MOST_ASKED)

    @property
    def patience_s(self) -> float:
        """Return after how long a silence it is asked again."""
        if self._least_rtt_s is None:
            known_s = _FIRST_PATIENCE_S
        else:
            known_s = max(self._rtt_s + 4 * self._spread_s, _LEAST_PATIENCE_S)
            if not self._measured:
                known_s += _FIRST_BYTES_S
        return min(known_s * 2.0**self._tries, _MOST_PATIENCE_S) * self._jitter

    def answered(self, rtt_s: float) -> None:
        """Take note that an ask, which was sent once, had its first answer after so long."""
        if self._least_rtt_s is None:
            self._least_rtt_s, self._rtt_s, self._spread_s = rtt_s, rtt_s, rtt_s / 2
        else:
            self._least_rtt_s = min(self._least_rtt_s, rtt_s)
            self._spread_s += (abs(rtt_s - self._rtt_s) - self._spread_s) / 4
            self._rtt_s += (rtt_s - self._rtt_s) / 8
        self._tries, self._jitter = 0, 1.0

    def came(self, count: int, seconds: float) -> None:
        """Take note that ``count`` bytes came while one ask was under way."""
        self._rates.append(count / max(seconds, 1e-3))
        self._measured = True
        if self._rates[-1] > _GROWTH * self._best:
            self._best, self._level = self._rates[-1], 0
        else:
            self._level += 1

    def silent(self) -> None:
        """Take note that patience ended: the line is not what it was, and patience grows."""
        self._rates.clear()
        self._best, self._level = 0.0, 0
        self._least_rtt_s = None  # the console may be farther than it was
        self._tries += 1
        self._jitter = random.uniform(1.0, 1.25)  # noqa: S311 (no secret)
