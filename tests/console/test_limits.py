"""Who was wrong too often waits."""

import pytest

from littoral_console.limits import MOST, WITHIN_S, Failures, TooManyError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ten_failures_within_a_minute_are_enough() -> None:
    clock = Clock()
    failures = Failures(clock)
    for _ in range(MOST):
        failures.check("eve")
        failures.count("eve")
    with pytest.raises(TooManyError, match="wait 60 seconds"):
        failures.check("eve")
    failures.check("anna")
    clock.now = WITHIN_S
    failures.check("eve")


def test_many_who_ask_do_not_fill_the_memory() -> None:
    failures = Failures(Clock())
    for n in range(30_000):
        failures.count(f"address {n}")
    assert len(failures._failures) <= 10_000
