"""Percentiles, and intervals that hold what they promise, also of latencies that hang together."""

from math import comb

import numpy as np
import pytest

from littoral_serve.bench import percentiles
from littoral_serve.bench.percentiles import Ranks, independent, latency, percentile, ranks


def test_a_percentile_is_a_measured_value_that_so_many_do_not_exceed() -> None:
    values = np.arange(1.0, 101.0)
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 0.999) == 100
    assert percentile(np.array([7.0]), 0.5) == 7


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [
        (100, 0.5, Ranks(40, 61)),  # as tables of order statistics have it
        (10, 0.5, Ranks(2, 9)),
        (5, 0.5, Ranks(None, None)),  # all five lie on one side once in sixteen
        (100, 0.99, Ranks(97, None)),
        (1_000_000, 0.5, Ranks(499_020, 500_981)),
    ],
)
def test_ranks_bracket_a_percentile(count: int, fraction: float, expected: Ranks) -> None:
    assert ranks(count, fraction) == expected


def test_the_ranks_are_no_wider_than_they_must_be() -> None:
    """By the binomial distribution, added up exactly."""
    for count, fraction in ((60, 0.5), (200, 0.9), (500, 0.95)):
        found = ranks(count, fraction)
        assert found.low is not None
        assert found.high is not None
        chance = [
            comb(count, k) * fraction**k * (1 - fraction) ** (count - k) for k in range(count + 1)
        ]
        assert sum(chance[found.low : found.high]) >= 0.95
        assert sum(chance[: found.low]) <= 0.025 < sum(chance[: found.low + 1])
        assert sum(chance[found.high :]) <= 0.025 < sum(chance[found.high - 1 :])


def walks(rng: np.random.Generator, *, count: int, memory: float) -> percentiles.Values:
    """Latencies of which each is near the one before; half of all lie below 1."""
    noise = rng.normal(size=count) * np.sqrt(1 - memory**2)
    found = np.empty(count)
    found[0] = rng.normal()
    for k in range(1, count):
        found[k] = memory * found[k - 1] + noise[k]
    values: percentiles.Values = np.exp(found * 0.2)
    return values


@pytest.mark.parametrize(("memory", "least"), [(0.0, 0.93), (0.9, 0.88)])
def test_intervals_hold_the_truth_as_often_as_they_say(memory: float, least: float) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        values = walks(rng, count=2000, memory=memory)
        low, high = percentiles.interval(values, np.sort(values), 0.5)
        assert low is not None
        assert high is not None
        held += low <= 1 <= high
    assert held / 200 >= least


def test_latencies_that_hang_together_are_fewer_than_they_look() -> None:
    rng = np.random.default_rng(2)
    alone = walks(rng, count=4000, memory=0.0)
    together = walks(rng, count=4000, memory=0.95)
    assert independent(alone, 1.0, 0.5) > 1500
    assert independent(together, 1.0, 0.5) < 400


def test_a_run_that_is_too_short_does_not_know_its_tail() -> None:
    told = latency(np.arange(1, 101, dtype=np.int64) * 1000)
    assert told.p50 == 50
    assert told.ci95["p99_9"][1] is None
    assert told.p99_9 == told.most == 100


def test_latencies_that_are_all_the_same_have_a_point_for_an_interval() -> None:
    told = latency(np.full(1000, 5000, np.int64))
    assert (told.p50, told.mean, told.ci95["p50"], told.ci95["mean"]) == (5, 5, (5, 5), (5, 5))
    assert told.independent == 1000
