"""When the console says that a probation ends: only devices know, and some have no clock."""

import pytest

from littoral.wire.messages import Update
from littoral_console.outcomes import watched_until

NOW_MS = 1_767_268_800_000
HOUR_MS = 3_600_000


def until(time_ms: int = NOW_MS, *, state: str = "probation", **figures: float) -> int | None:
    said = Update(model="digits", event="passed", state=state, release=2, figures=figures)
    return watched_until(said, time_ms=time_ms, now_ms=NOW_MS)


def test_it_counts_from_when_the_device_said_so() -> None:
    assert until(probation_left_s=300.0) == NOW_MS + 300_000
    assert until(NOW_MS - HOUR_MS, probation_left_s=300.0) == NOW_MS - HOUR_MS + 300_000


def test_a_clock_that_cannot_be_right_does_not_count() -> None:
    assert until(1_000, probation_left_s=300.0) == NOW_MS + 300_000
    assert until(NOW_MS + HOUR_MS, probation_left_s=300.0) == NOW_MS + 300_000


@pytest.mark.parametrize("left_s", [-1.0, float("nan"), float("inf"), 1e300])
def test_nonsense_is_no_time(left_s: float) -> None:
    assert until(probation_left_s=left_s) is None


def test_who_does_not_say_it_is_not_guessed_for() -> None:
    assert until() is None
    assert until(state="testing", probation_left_s=300.0) is None
