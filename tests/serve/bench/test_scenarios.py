"""How queries come: by a clock that the test turns."""

import numpy as np
import pytest

from littoral_serve.bench.scenarios import LEAST, closed, poisson, served


class World:
    """A clock that goes on while a model runs, or somebody sleeps."""

    def __init__(self, *, takes_ns: int, look_ns: int = 1) -> None:
        self.now_ns, self.takes_ns, self.look_ns = 0, takes_ns, look_ns
        self.ran: list[int] = []

    def clock(self) -> int:
        self.now_ns += self.look_ns  # looking at it takes time, too
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def run(self, sample: int) -> None:
        self.ran.append(sample)
        self.now_ns += self.takes_ns


def test_a_stream_asks_again_when_it_is_answered() -> None:
    world = World(takes_ns=1_000_000)
    times = closed(world.run, [(0,), (1,), (2,)], seconds=0.1, clock=world.clock)
    assert len(times.latency) == 100
    assert set(times.latency.tolist()) == {1_000_001}
    assert world.ran[:4] == [0, 1, 2, 0]
    assert times.due[0] < 10
    assert times.elapsed_ns == pytest.approx(0.1e9, rel=0.02)


def test_a_query_of_several_samples_is_answered_with_the_last() -> None:
    world = World(takes_ns=1_000_000)
    times = closed(world.run, [(0,), (1,)], seconds=0.1, runs_per_query=8, clock=world.clock)
    assert set(times.latency.tolist()) == {8_000_001}
    assert len(world.ran) == 8 * len(times.latency)


def test_a_slow_model_answers_some_queries_all_the_same() -> None:
    world = World(takes_ns=5_000_000_000)
    assert len(closed(world.run, [(0,)], seconds=0.1, clock=world.clock).latency) == LEAST


def test_a_fast_model_does_not_fill_the_memory() -> None:
    world = World(takes_ns=10)
    assert len(closed(world.run, [(0,)], seconds=1.0, most=500, clock=world.clock).latency) == 500


def test_who_arrives_while_another_is_answered_waits_in_order() -> None:
    world = World(takes_ns=10_000_000, look_ns=10_000)
    arrivals = np.array([0, 5, 6, 100], np.int64) * 1_000_000
    times = served(world.run, [(0,)], arrivals=arrivals, clock=world.clock, sleep=world.sleep)
    assert (times.latency / 1e6).tolist() == pytest.approx([10, 15, 24, 10], abs=0.1)
    assert times.due.tolist() == arrivals.tolist()


def test_a_queue_of_one_server_is_as_theory_has_it() -> None:
    """Poisson arrivals, each as long: the mean wait is rho / (2 (1 - rho)) of that."""
    world = World(takes_ns=1_000_000, look_ns=20_000)
    arrivals = poisson(per_s=500, seconds=100, seed=3)
    times = served(world.run, [(0,)], arrivals=arrivals, clock=world.clock, sleep=world.sleep)
    assert times.latency.mean() / 1e6 == pytest.approx(1 + 0.5 / (2 * 0.5), rel=0.06)


def test_arrivals_are_random_at_the_rate_that_was_asked_for_and_the_same_each_time() -> None:
    arrivals = poisson(per_s=200, seconds=500, seed=5)
    gaps = np.diff(arrivals) / 1e9
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.02)
    assert gaps.std() == pytest.approx(1 / 200, rel=0.03)  # of an exponential distribution
    assert arrivals.tolist() == poisson(per_s=200, seconds=500, seed=5).tolist()


def test_a_queue_that_only_grows_is_given_up() -> None:
    world = World(takes_ns=100_000_000, look_ns=10_000)
    arrivals = poisson(per_s=1000, seconds=1, seed=5)
    times = served(world.run, [(0,)], arrivals=arrivals, clock=world.clock, sleep=world.sleep)
    assert len(times.latency) < 50
    assert times.elapsed_ns < 4e9
