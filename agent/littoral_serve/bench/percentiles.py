"""Percentiles of latencies, and how far they can be believed. Pure.

The interval of a percentile is by order statistics: two of the measured values whose ranks bracket
it with a probability of 95 %, whatever the distribution. For latencies in a row, which depend on
each other, the ranks are those of as many values as are independent (by batch means).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_serve.bench.result import FIGURES, Interval, Latency

Values = NDArray[np.float64]

_OUTSIDE: Final = 0.025  # of the probability, on either side
_BLOCKS: Final = 20
_STUDENT: Final = 2.093  # of 19 degrees of freedom, for 95 %
_WIDE: Final = 12  # standard deviations, beyond which no rank lies


@dataclass(frozen=True, slots=True)
class Ranks:
    """From 1, of sorted values; None where there is no value so far out."""

    low: int | None
    high: int | None


def percentile(ascending: Values, fraction: float) -> float:
    """Return the smallest value that ``fraction`` of all do not exceed."""
    return float(ascending[_rank(len(ascending), fraction) - 1])


def ranks(count: int, fraction: float) -> Ranks:
    """Return which two of ``count`` independent values bracket the percentile in 95 of 100 runs."""
    middle, spread = count * fraction, math.sqrt(count * fraction * (1 - fraction))
    first = max(0, math.floor(middle - _WIDE * spread - _WIDE))
    last = min(count, math.ceil(middle + _WIDE * spread + _WIDE))
    below = np.arange(first + 1, last + 1, dtype=np.float64)
    # The binomial distribution from one number to the next: no factorial is made.
    steps = np.log((count - below + 1) / below * (fraction / (1 - fraction)))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    chances = np.exp(logs - logs.max())
    total = np.cumsum(chances) / chances.sum()
    low = first + int(np.searchsorted(total, _OUTSIDE, side="right"))
    high = first + int(np.searchsorted(total, 1 - _OUTSIDE)) + 1
    return Ranks(low if low >= 1 else None, high if high <= count else None)


def independent(values: Values, at: float, fraction: float) -> int:
    """Return how many independent values ``values``, in the order of time, are worth.

    At the percentile ``at``, which is that of ``fraction``: by how much the share of values below
    it scatters between blocks, beside how much it would by chance.
    """
    size = len(values) // _BLOCKS
    expected = fraction * (1 - fraction)
    if size < 1 or expected == 0:
        return len(values)
    blocks = (values[: size * _BLOCKS] <= at).reshape(_BLOCKS, size)
    found = float(blocks.mean(axis=1).var(ddof=1)) * size
    return max(1, int(len(values) / max(1.0, found / expected)))


def interval(values: Values, ascending: Values, fraction: float) -> Interval:
    """Return the 95 % interval of the percentile; ``values`` are in the order of time."""
    count = len(values)
    worth = independent(values, percentile(ascending, fraction), fraction)
    found = ranks(worth, fraction)
    scale = count / worth
    low = None if found.low is None else ascending[max(1, math.floor(found.low * scale)) - 1]
    high = None if found.high is None else ascending[min(count, math.ceil(found.high * scale)) - 1]
    return tuple(None if end is None else round(float(end), 3) for end in (low, high))


def of_mean(values: Values) -> Interval:
    size = len(values) // _BLOCKS
    if size < 1:
        return (None, None)
    means = values[: size * _BLOCKS].reshape(_BLOCKS, size).mean(axis=1)
    reach = _STUDENT * float(means.std(ddof=1)) / math.sqrt(_BLOCKS)
    middle = float(values.mean())
    return (round(middle - reach, 3), round(middle + reach, 3))


def latency(ns: NDArray[np.int64]) -> Latency:
    """Return the figures of latencies in ns, in the order of time."""
    values = ns / 1e3
    ascending = np.sort(values)
    told = {name: round(percentile(ascending, q), 3) for name, q in FIGURES.items()}
    return Latency(
        **told,
        mean=round(float(values.mean()), 3),
        least=round(float(ascending[0]), 3),
        most=round(float(ascending[-1]), 3),
        ci95={name: interval(values, ascending, q) for name, q in FIGURES.items()}
        | {"mean": of_mean(values)},
        independent=independent(values, percentile(ascending, 0.5), 0.5),
    )


def median_interval(values: Values) -> tuple[float, Interval]:
    """Return the median of independent ``values``, and its interval."""
    ascending = np.sort(values)
    found = ranks(len(values), 0.5)
    ends = (
        None if rank is None else float(ascending[rank - 1]) for rank in (found.low, found.high)
    )
    return float(np.median(values)), tuple(ends)


def _rank(count: int, fraction: float) -> int:
    return min(count, max(1, math.ceil(fraction * count - 1e-9)))
