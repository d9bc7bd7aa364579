"""What is made of figures: a setting is recommended, B is judged beside A, a rate is found."""

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from littoral.errors import LatencyError, MisuseError
from littoral_serve.bench import comparing, searching, sweeping
from littoral_serve.bench.asked import Asked, threads
from littoral_serve.bench.orders import Order
from littoral_serve.bench.process import Process
from littoral_serve.bench.result import Setting
from littoral_serve.bench.scenarios import Times, poisson, served


def setting(threads: int, per_s: float, *, mib: int = 50, fits: bool = True) -> Setting:
    return Setting(
        backend="litert", threads=threads, throughput_per_s=per_s, rss_bytes=mib * 2**20, fits=fits
    )


def chosen(*settings: Setting) -> int | None:
    found = [k for k, one in enumerate(sweeping.recommend(settings)) if one.recommended]
    assert len(found) <= 1
    return found[0] if found else None


def test_the_fastest_setting_that_fits_is_recommended() -> None:
    assert chosen(setting(1, 100), setting(2, 180), setting(4, 300)) == 2
    assert chosen(setting(1, 100), setting(2, 180), setting(4, 300, fits=False)) == 1


def test_threads_that_gain_little_are_left_to_others() -> None:
    assert chosen(setting(1, 95), setting(2, 100)) == 0
    assert chosen(setting(1, 89), setting(2, 100)) == 1


def test_of_two_that_are_as_good_the_smaller_is_recommended() -> None:
    assert chosen(setting(1, 100, mib=80), setting(1, 97, mib=40)) == 1


def test_what_does_not_fit_or_does_not_run_is_not_recommended() -> None:
    broken = Setting(backend="edgetpu", threads=1, error="no Edge TPU")
    assert chosen(broken, setting(1, 10, fits=False)) is None
    assert chosen(broken, setting(1, 10)) == 1


def test_a_limit_of_memory_holds_for_what_cannot_be_told() -> None:
    asked = Asked(limit_us=100, limit_bytes=1000)
    assert sweeping.fits(100, 1000, asked)
    assert not sweeping.fits(101, 1000, asked)
    assert not sweeping.fits(100, 1001, asked)
    assert not sweeping.fits(100, None, asked)


def test_threads_are_doubled_up_to_all_cores() -> None:
    assert [threads(n) for n in (1, 2, 4, 6)] == [(1,), (1, 2), (1, 2, 4), (1, 2, 4, 6)]


def test_b_is_judged_by_the_interval_of_its_ratio() -> None:
    slower = comparing.ratio([(100.0, 110.0 + k % 3) for k in range(20)])
    assert slower.value == pytest.approx(1.11, abs=0.01)
    assert comparing.verdict(slower) == "slower"
    assert comparing.verdict(comparing.ratio([(110.0, 100.0)] * 20)) == "faster"
    even = comparing.ratio([(100.0, 100.0 + (-1) ** k) for k in range(20)])
    assert comparing.verdict(even) == "no difference found"


def test_a_neighbour_who_comes_and_goes_makes_no_difference() -> None:
    """Half of all pairs were three times as slow: A and B alike."""
    rng = np.random.default_rng(0)
    pairs = [
        (busy * 100 * rng.uniform(0.99, 1.01), busy * 102 * rng.uniform(0.99, 1.01))
        for busy in [1, 3] * 50
    ]
    found = comparing.ratio(pairs)
    assert found.value == pytest.approx(1.02, abs=0.005)
    assert comparing.verdict(found) == "slower"


def queue(takes_us: float) -> Process:
    """A model that takes always as long, asked by a clock that only it and sleep turn."""

    class Queue:
        def measure(self, order: Order) -> Times:
            now = [0]
            arrivals = poisson(per_s=order.per_s, seconds=order.seconds, seed=order.seed)

            def add(ns: float) -> None:
                now[0] += round(ns)

            def clock() -> int:
                add(5_000)
                return now[0]

            run: Callable[..., object] = lambda: add(takes_us * 1e3)  # noqa: E731
            return served(run, [()], arrivals=arrivals, clock=clock, sleep=lambda s: add(s * 1e9))

    return cast("Process", Queue())


def test_the_highest_rate_that_keeps_a_limit_is_found() -> None:
    rate, tried = searching.search(queue(1000), limit_us=5000, most_per_s=1000, duration_s=50.0)
    assert 500 < rate < 950  # the p99 of such a queue is 5 ms at about 70 %
    kept = [one.per_s for one in tried if one.kept]
    assert rate == pytest.approx(max(kept), rel=1e-3)
    assert all(one.per_s > rate for one in tried if not one.kept)
    assert all(one.p99 <= 5000 for one in tried if one.kept)


def test_a_limit_that_no_rate_keeps_is_an_error_in_words() -> None:
    with pytest.raises(LatencyError, match="at no rate 99 of 100 answers come within 500 µs"):
        searching.search(queue(1000), limit_us=500, most_per_s=1000, duration_s=5.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration_s": 0},
        {"duration_s": float("nan")},
        {"threads": 0},
        {"samples": 0},
        {"rate": 10.0},
        {"limit_us": -1.0},
        {"scenario": "server", "rate": 0.0},
    ],
)
def test_what_does_not_add_up_is_a_misuse(wrong: dict[str, object]) -> None:
    with pytest.raises(MisuseError):
        Asked(**wrong)  # type: ignore[arg-type]
