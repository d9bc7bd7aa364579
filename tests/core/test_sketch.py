"""The latency sketch: what it promises about errors, merging and size."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.wire.sketch import Sketch

ERROR = 0.011  # the promise: 1.1 % of the value, after any merge

microseconds = st.floats(1e-5, 1e12)


def sketch_of(values: list[float]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.record(value)
    return sketch


def exact(values: list[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


@given(st.lists(st.lists(microseconds), max_size=8), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_true_after_any_merge(parts: list[list[float]], q: float) -> None:
    merged = Sketch()
    for part in parts:
        merged.merge(sketch_of(part))
    values = [value for part in parts for value in part]
    assert merged.count == len(values)
    if values:
        assert merged.quantile(q) == pytest.approx(exact(values, q), rel=ERROR)


@given(st.lists(microseconds), st.lists(microseconds), st.lists(microseconds))
def test_merging_is_exact_in_any_order(a: list[float], b: list[float], c: list[float]) -> None:
    left, right = sketch_of(a), sketch_of(c)
    left.merge(sketch_of(b))
    left.merge(sketch_of(c))
    right.merge(sketch_of(b))
    right.merge(sketch_of(a))
    assert list(left.buckets()) == list(right.buckets()) == list(sketch_of(a + b + c).buckets())


@given(st.lists(microseconds | st.just(0.0)))
def test_what_was_encoded_is_decoded(values: list[float]) -> None:
    sketch = sketch_of(values)
    again = Sketch.decode(sketch.encode())
    assert again == sketch
    assert again.count == sketch.count
    assert list(again.buckets()) == list(sketch.buckets())
    assert again.sum == pytest.approx(sketch.sum, abs=0.5)


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_latencies_fit_into_150_bytes(seed: int) -> None:
    rng = random.Random(seed)
    values = [rng.lognormvariate(math.log(2000), 0.25) for _ in range(1000)]
    assert len(sketch_of(values).encode()) <= 150


def test_percentiles_of_a_fleet_are_not_averages_of_percentiles() -> None:
    quick, slow = [100.0] * 99, [10_000.0] * 1
    fleet = sketch_of(quick)
    fleet.merge(sketch_of(slow))
    assert fleet.quantile(0.5) == pytest.approx(100, rel=ERROR)
    assert fleet.quantile(0.99) == pytest.approx(100, rel=ERROR)
    assert fleet.quantile(1.0) == pytest.approx(10_000, rel=ERROR)


def test_a_clock_that_stepped_back_counts_as_zero() -> None:
    sketch = sketch_of([-5.0, 0.0, 7.0])
    assert (sketch.count, sketch.zeros) == (3, 2)
    assert sketch.quantile(0.5) == 0.0
    assert sketch.quantile(1.0) == pytest.approx(7, rel=ERROR)


@pytest.mark.parametrize("value", [1e-300, 2.0**-20, 2.0**60, 1e300, math.inf, math.nan])
def test_what_no_clock_measures_is_counted_at_the_edge(value: float) -> None:
    sketch = sketch_of([value, math.nextafter(2.0**-20, 1), math.nextafter(2.0**60, 0)])
    assert sketch.count == 3
    assert list(Sketch.decode(sketch.encode()).buckets()) == list(sketch.buckets())


def test_an_empty_sketch_answers_zero() -> None:
    assert Sketch().quantile(0.99) == 0.0
    assert Sketch.decode(Sketch().encode()).count == 0


@given(st.binary(max_size=64))
def test_whatever_arrives_is_a_sketch_or_refused(data: bytes) -> None:
    try:
        sketch = Sketch.decode(data)
    except ValueError:
        return
    assert sketch.quantile(0.5) >= 0


@pytest.mark.parametrize("spoil", [lambda b: b + b"\0", lambda b: b[:-1]])
def test_a_sketch_too_long_or_cut_short_is_refused(spoil: "type[bytes]") -> None:
    with pytest.raises(ValueError, match=r"."):
        Sketch.decode(spoil(sketch_of([1.0, 2.0, 300.0]).encode()))


def test_a_bucket_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="out of range"):
        Sketch.decode(b"\0\0\x01" + b"\xff\x7f" + b"\x01")


def test_what_came_later_is_told_apart() -> None:
    sketch = Sketch()
    for value in (0.0, 5.0, 900.0, 900.0):
        sketch.record(value)
    earlier = Sketch.decode(sketch.encode())
    later = Sketch()
    for value in (5.0, 70.0, 70.0):
        sketch.record(value)
        later.record(value)
    found = sketch.since(earlier)
    assert (found.bins(), found.zeros, found.count) == (later.bins(), later.zeros, 3)
    assert found.sum == pytest.approx(later.sum, rel=1e-6)


def test_many_at_once_are_counted_as_each_alone() -> None:
    spans = [*range(-3, 3), 10**6, 10**30, *random.Random(1).choices(range(10**7), k=1000)]
    alone, together = Sketch(), Sketch()
    for ns in spans:
        alone.record(ns / 1e3)
    together.record_ns(spans)
    assert list(together.buckets()) == list(alone.buckets())
    assert (together.zeros, together.count) == (alone.zeros, alone.count)
    assert together.sum == pytest.approx(alone.sum)
