"""Looks for the highest rate of Poisson arrivals at which the p99 keeps a limit."""

from typing import Final

import numpy as np

from littoral.errors import LatencyError
from littoral_serve.bench.asked import SEED
from littoral_serve.bench.orders import Order
from littoral_serve.bench.percentiles import percentile
from littoral_serve.bench.process import Process
from littoral_serve.bench.result import Searched

_STEPS: Final = 9  # halvings: to a five-hundredth of what could be
_TAIL: Final = 0.99
_LEAST_S: Final = 0.5
_MOST_S: Final = 10.0
_PART: Final = 0.2  # of the full run
_CLOSE: Final = 0.01  # of the rate


class TooSlowError(LatencyError):
    """No rate keeps the limit."""

    def __init__(self, *, p99_us: float, limit_us: float) -> None:
        Exception.__init__(
            self,
            f"at no rate 99 of 100 answers come within {limit_us:.0f} µs; the best p99 was "
            f"{p99_us:.0f} µs: ask for a higher limit",
        )
        self.p99_us, self.limit_us = p99_us, limit_us


def search(
    process: Process, *, limit_us: float, most_per_s: float, duration_s: float
) -> tuple[float, tuple[Searched, ...]]:
    """Return the rate, and all that were tried.

    Raises:
        TooSlowError: No rate keeps the limit.

    """
    seconds = min(_MOST_S, max(_LEAST_S, _PART * duration_s))
    found: list[Searched] = []
    low, high = 0.0, most_per_s
    for _ in range(_STEPS):
        rate = (low + high) / 2
        times = process.measure(Order(do="served", seconds=seconds, per_s=rate, seed=SEED))
        p99 = percentile(np.sort(times.latency), _TAIL) / 1e3
        kept = p99 <= limit_us
        found.append(Searched(per_s=round(rate, 3), p99=round(p99, 3), kept=kept))
        low, high = (rate, high) if kept else (low, rate)
        if high - low <= _CLOSE * high:
            break
    if low == 0:
        raise TooSlowError(p99_us=min(one.p99 for one in found), limit_us=limit_us)
    return low, tuple(found)
