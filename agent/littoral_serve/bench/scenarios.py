"""The four ways in which queries come, as MLPerf Inference defines them: docs/bench.md.

Each asks ``run`` until its time is over, one query after the other, and returns when each query
was due and how long its answer took from then. Nothing here knows what is run.
"""

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

MOST: Final = 1_000_000  # queries: sixteen bytes are kept of each
LEAST: Final = 10
_SPIN_NS: Final = 200_000  # a sleep ends late by less than that
_LATE: Final = 2.0  # times the planned duration, when a queue only grows


class Clock(Protocol):
    def __call__(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Times:
    """Of each query, in ns: when it was due, from the beginning, and its latency."""

    due: NDArray[np.int64]
    latency: NDArray[np.int64]
    elapsed_ns: int


def closed(
    run: Callable[..., object],
    inputs: Sequence[tuple[Any, ...]],
    *,
    seconds: float,
    runs_per_query: int = 1,
    least: int = LEAST,
    most: int = MOST,
    clock: Clock = time.perf_counter_ns,
) -> Times:
    """Ask the next query as soon as the one before is answered; all of it is ``run``'s time."""
    due, latency = array("q"), array("q")
    more = range(runs_per_query - 1)
    feed = cycle(inputs)
    now = begin = clock()
    end = begin + round(seconds * 1e9)
    for sample in feed:
        start = clock()
        run(*sample)
        for _ in more:
            run(*next(feed))
        now = clock()
        latency.append(now - start)
        due.append(start - begin)
        if (now >= end and len(due) >= least) or len(due) >= most:
            break
    return _times(due, latency, now - begin)


def served(
    run: Callable[..., object],
    inputs: Sequence[tuple[Any, ...]],
    *,
    arrivals: NDArray[np.int64],
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Times:
    """Ask queries as they arrive (ns from the beginning); a busy ``run`` lets them wait in order.

    It gives up at twice the time of the last arrival: then the queue only grows.
    """
    due, latency = array("q"), array("q")
    feed = cycle(inputs)
    now = begin = clock()
    end = begin + int(arrivals[-1] * _LATE)
    for at in arrivals.tolist():
        when = begin + at
        while (left := when - clock()) > 0:
            if left > _SPIN_NS:
                sleep((left - _SPIN_NS) / 1e9)
        run(*next(feed))
        now = clock()
        latency.append(now - when)
        due.append(at)
        if now > end and len(due) >= LEAST:
            break
    return _times(due, latency, now - begin)


def poisson(*, per_s: float, seconds: float, seed: int) -> NDArray[np.int64]:
    """Return the times of arrivals in ns: gaps of an exponential distribution."""
    count = max(LEAST, min(MOST, round(per_s * seconds)))
    gaps = np.random.default_rng(seed).exponential(1e9 / per_s, count)
    arrivals: NDArray[np.int64] = np.cumsum(gaps).astype(np.int64)
    return arrivals


def _times(due: "array[int]", latency: "array[int]", elapsed_ns: int) -> Times:
    return Times(
        due=np.frombuffer(due, np.int64),
        latency=np.frombuffer(latency, np.int64),
        elapsed_ns=elapsed_ns,
    )
