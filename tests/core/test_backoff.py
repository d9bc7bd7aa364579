"""Pauses grow, are bounded, start over, and are never the same twice for a fleet."""

from littoral.backoff import Backoff, jitter


def test_pauses_double_up_to_the_most() -> None:
    backoff = Backoff(1.0, 10.0)
    for whole in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        assert whole / 2 <= backoff.next() <= whole
    backoff.reset()
    assert backoff.next() <= 1.0


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(1.0, 300.0)
    assert all(backoff.next() <= 300.0 for _ in range(1000))


def test_a_fleet_does_not_come_back_at_once() -> None:
    assert len({round(jitter(100.0), 3) for _ in range(100)}) > 50
