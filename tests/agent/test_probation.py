"""When a candidate on probation is healthy, and when it is not."""

from dataclasses import replace

import pytest

from littoral.wire.control import Tried
from littoral_agent.probation import FEW_ERRORS, Seen, judge, verdict
from littoral_agent.settings import Settings
from littoral_agent.update import Event

SETTINGS = Settings(probation_s=300, probation_requests=20)
BUSY = Seen(watched_s=300, requests=1000, errors=0, p95_us=100, before_p95_us=90)
IDLE = Seen(watched_s=300, requests=0, errors=0)


def outcome(seen: Seen) -> tuple[Event, str | None] | None:
    found = judge(seen, SETTINGS)
    return None if found is None else (found.event, found.code)


def test_time_alone_proves_nothing() -> None:
    assert outcome(replace(BUSY, watched_s=299)) is None
    assert outcome(IDLE) is None


def test_enough_requests_or_a_probe_prove_it() -> None:
    assert outcome(BUSY) == (Event.HEALTHY, None)
    assert outcome(replace(IDLE, probe=Tried())) == (Event.HEALTHY, None)
    assert outcome(replace(IDLE, requests=19)) is None


def test_a_few_errors_are_anything_many_are_its_own() -> None:
    assert outcome(replace(BUSY, watched_s=1, errors=FEW_ERRORS - 1, requests=2)) is None
    assert outcome(replace(BUSY, watched_s=1, errors=FEW_ERRORS, requests=3)) == (
        Event.FAILED,
        "unhealthy",
    )
    assert outcome(replace(BUSY, errors=15)) == (Event.HEALTHY, None)


@pytest.mark.parametrize(
    ("p95_us", "before_us", "event"),
    [
        (2100, 60, None),  # within the slack, which a busy board needs
        (2200, 60, Event.FAILED),
        (11_000, 5000, None),
        (13_000, 5000, Event.FAILED),
        (10**9, None, None),  # nothing to compare with
    ],
)
def test_much_slower_than_the_release_before_is_a_fault(
    p95_us: float, before_us: float | None, event: Event | None
) -> None:
    found = judge(replace(BUSY, watched_s=1, p95_us=p95_us, before_p95_us=before_us), SETTINGS)
    assert (found and found.event) == event
    assert found is None or found.code == "latency"


def test_a_handful_of_slow_requests_is_no_sample() -> None:
    assert outcome(replace(BUSY, watched_s=1, requests=19, p95_us=10**9)) is None


def test_a_probe_that_fails_ends_it_at_once() -> None:
    found = outcome(replace(BUSY, watched_s=0, probe=Tried(code="outputs")))
    assert found == (Event.FAILED, "outputs")


@pytest.mark.parametrize(
    ("code", "event"),
    [
        (None, Event.PASSED),
        ("outputs", Event.FAILED),
        ("latency", Event.FAILED),
        ("crash", Event.FAILED),
        ("memory", Event.STUMBLED),
        ("deadline", Event.STUMBLED),
    ],
)
def test_whose_fault_a_self_test_says_it_is(code: str | None, event: Event) -> None:
    found = verdict(Tried(code=code, detail="why", p95_cpu_us=12.0, peak_bytes=7))
    assert (found.event, found.code, found.detail) == (event, code, "why")
    assert found.figures == {"p95_cpu_us": 12.0, "peak_bytes": 7}
