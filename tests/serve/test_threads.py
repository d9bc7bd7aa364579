"""How many threads a model is given, by how long it took with fewer."""

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array, open_session
from littoral_serve.running import threads
from littoral_serve.running.threads import Measured, better, enough, opened, steps

FIXTURES = Path(__file__).parents[1] / "fixtures"
SPEC = Tensor(name="x", shape=(1, 2), dtype="float32")


class Clock:
    """Time that goes on when somebody runs, and not otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now)


class Model:
    """One that takes so many ms with so many threads."""

    inputs = outputs = (SPEC,)

    def __init__(self, clock: Clock, ms: float) -> None:
        self._clock, self._ns = clock, int(ms * 1e6)

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        self._clock.now += self._ns
        return inputs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def chosen(
    clock: Clock, ms: dict[int, float], *, cores: int = 4, budget_us: float | None = None
) -> tuple[int, list[int]]:
    """Return how many threads were chosen for a model, and which were tried."""
    tried: list[int] = []

    def open_(count: int) -> Model:
        tried.append(count)
        return Model(clock, ms[count])

    found = opened(open_, None, threads="auto", budget_us=budget_us, cores=cores)
    assert found.fastest_ns == int(ms[found.threads] * 1e6)
    return found.threads, tried


def test_a_fast_model_gets_one_thread_and_no_second_is_tried(clock: Clock) -> None:
    assert chosen(clock, {1: 0.9}) == (1, [1])


def test_threads_are_added_for_as_long_as_they_pay(clock: Clock) -> None:
    assert chosen(clock, {1: 40, 2: 21, 4: 12}) == (4, [1, 2, 4])
    assert chosen(clock, {1: 40, 2: 21, 4: 20}) == (2, [1, 2, 4])
    assert chosen(clock, {1: 40, 2: 60}) == (1, [1, 2])
    assert chosen(clock, {1: 3, 2: 0.9}) == (2, [1, 2])


def test_with_a_budget_the_fewest_that_keep_it_are_taken(clock: Clock) -> None:
    ms = {1: 40.0, 2: 21.0, 4: 12.0}
    assert chosen(clock, ms, budget_us=50_000) == (1, [1])
    assert chosen(clock, ms, budget_us=25_000) == (2, [1, 2])
    assert chosen(clock, ms, budget_us=5_000) == (4, [1, 2, 4])
    assert chosen(clock, {1: 0.5, 2: 0.3, 4: 0.29}, budget_us=100) == (2, [1, 2, 4])


def test_no_more_threads_are_tried_than_there_are_cores(clock: Clock) -> None:
    assert chosen(clock, {1: 40}, cores=1) == (1, [1])
    assert [steps(n) for n in (1, 2, 3, 4, 6, 8)] == [
        *([], [2], [2, 3]),
        *([2, 4], [2, 4, 6], [2, 4, 8]),
    ]


def test_a_number_in_the_settings_is_taken_as_it_is(clock: Clock) -> None:
    found = opened(lambda count: Model(clock, 40 / count), None, threads=3)
    assert (found.threads, found.fastest_ns) == (3, int(40 / 3 * 1e6))


def test_a_longer_tail_is_not_paid_for_a_shorter_middle() -> None:
    one = Measured(threads=1, p50_ns=10e6, p95_ns=11e6)
    assert better(one, Measured(threads=2, p50_ns=6e6, p95_ns=10e6))
    assert not better(one, Measured(threads=2, p50_ns=6e6, p95_ns=40e6))
    assert not better(one, Measured(threads=2, p50_ns=9e6, p95_ns=9e6))
    assert enough(one, budget_ns=11e6)
    assert not enough(one, budget_ns=10e6)
    assert not enough(one, budget_ns=None)


def test_a_real_model_is_warm_and_answers_as_before() -> None:
    data = (FIXTURES / "tiny_int8.tflite").read_bytes()
    found = opened(lambda count: open_session("litert", data, threads=count), None, threads="auto")
    assert found.threads == 1
    assert 0 < found.fastest_ns < threads._FAST_NS
    zeros = np.zeros((1, 8, 8, 1), np.int8)
    plain = open_session("litert", data).run(zeros)
    assert np.array_equal(found.session.run(zeros)[0], plain[0])
