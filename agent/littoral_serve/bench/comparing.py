"""Measures two models in alternation, so that what drifts is the same for both."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from littoral_serve.bench import percentiles
from littoral_serve.bench.measuring import prepared
from littoral_serve.bench.orders import Order
from littoral_serve.bench.process import Process, Subject, started
from littoral_serve.bench.result import Compared, Ratio

_BLOCK_S: Final = 0.05
_LEAST: Final = 5  # queries of a block
_LEAST_PAIRS: Final = 10  # fewer bound no median with 95 %
_MOST_PAIRS: Final = 2000


def compare(a: Subject, b: Subject, *, threads: int, duration_s: float, other: str) -> Compared:
    """Return what B takes beside A, from pairs of blocks for about ``duration_s``."""
    with started(a, threads=threads) as first, started(b, threads=threads) as second:
        _, warm_a = prepared(first, duration_s=duration_s)
        loaded, warm_b = prepared(second, duration_s=duration_s)
        block = Order(do="closed", seconds=_BLOCK_S, least=_LEAST)
        lasts_s = sum(max(_BLOCK_S, _LEAST * one.warm_up.p50 / 1e6) for one in (warm_a, warm_b))
        pairs = min(_MOST_PAIRS, max(_LEAST_PAIRS, round(duration_s / lasts_s)))
        blocks = [_pair(first, second, block, swapped=bool(k % 2)) for k in range(pairs)]
    ratios = {
        name: ratio([(float(figure(x)), float(figure(y))) for x, y in blocks])
        for name, figure in (("p50", np.median), ("p95", _p95), ("mean", np.mean))
    }
    return Compared(
        other=other,
        variant=b.variant,
        backend=b.backend,
        threads=threads,
        pairs=pairs,
        p50=ratios["p50"],
        p95=ratios["p95"],
        mean=ratios["mean"],
        p50_us=round(float(np.median([np.median(y) for _, y in blocks])) / 1e3, 3),
        verdict=verdict(ratios["p50"]),
        rss_bytes=warm_b.memory.steady,
        load_ms=round(loaded.load_ms, 3),
    )


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Return the median of B / A over all pairs, and its interval by order statistics."""
    found = np.array([b / a for a, b in pairs])
    value, ends = percentiles.median_interval(found)
    rounded = tuple(None if end is None else round(end, 5) for end in ends)
    return Ratio(value=round(value, 5), ci95=rounded)


def verdict(by: Ratio) -> Literal["faster", "slower", "no difference found"]:
    """Return what B is, where the interval says it."""
    low, high = by.ci95
    if high is not None and high < 1:
        return "faster"
    if low is not None and low > 1:
        return "slower"
    return "no difference found"


def _pair(
    a: Process, b: Process, block: Order, *, swapped: bool
) -> tuple[percentiles.Values, percentiles.Values]:
    if swapped:
        second = b.measure(block).latency
        return a.measure(block).latency / 1.0, second / 1.0
    first = a.measure(block).latency
    return first / 1.0, b.measure(block).latency / 1.0


def _p95(values: percentiles.Values) -> float:
    return percentiles.percentile(np.sort(values), 0.95)
