"""What an update on a device is called while it goes on."""

import pytest

from littoral.wire.journal import State
from littoral_console.outcomes import Outcome
from littoral_console.phases import phase

NOW_MS = 1_767_268_800_000  # 2026-01-01 12:00:00 UTC


@pytest.mark.parametrize(
    ("state", "until_ms", "said"),
    [
        ("", None, "asked for"),
        (State.IDLE, None, "asked for"),
        (State.FETCHING, None, "fetching"),
        (State.TESTING, None, "on trial"),
        (State.PROBATION, None, "in probation"),
        (State.PROBATION, NOW_MS + 300_000, "in probation until 12:05 UTC"),
        (State.PROBATION, NOW_MS + 86_400_000, "in probation until 2026-01-02 12:00 UTC"),
        (State.PROBATION, NOW_MS - 60_000, "in probation, due to end at 11:59 UTC"),
        ("pondering", None, "pondering"),  # a newer device's
    ],
)
def test_what_goes_on_is_called_as_the_field_calls_it(
    state: str, until_ms: int | None, said: str
) -> None:
    assert phase(Outcome.PENDING, state, until_ms, now_ms=NOW_MS) == said


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.PENDING])
def test_what_has_ended_is_called_by_its_outcome(outcome: Outcome) -> None:
    assert phase(outcome, State.PROBATION, NOW_MS, now_ms=NOW_MS) == outcome
