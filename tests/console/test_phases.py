"""What an update on a device is called while it goes on."""

from dataclasses import dataclass

import pytest

from littoral.wire.journal import State
from littoral_console.outcomes import Outcome
from littoral_console.phases import phase, waiting

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


@pytest.mark.parametrize(
    ("code", "until_ms", "said"),
    [
        ("window", NOW_MS + 3_600_000, "waits for its window until 13:00 UTC"),
        ("window", NOW_MS - 60_000, "waits for its window, due at 11:59 UTC"),
        ("window", None, "waits for its window"),
        ("allowance", NOW_MS + 31 * 86_400_000, "waits for next month's bytes until 2026-02-01"),
        ("moonlight", NOW_MS + 3_600_000, "waits until 13:00 UTC"),  # a newer device's
    ],
)
def test_what_waits_says_for_what_and_until_when(
    code: str, until_ms: int | None, said: str
) -> None:
    found = phase(Outcome.PENDING, State.FETCHING, until_ms, waits=code, now_ms=NOW_MS)
    assert found.startswith(said)


@dataclass
class Asked:
    waits: str | None = None
    until_ms: int | None = None


def test_a_rollout_says_how_many_wait_and_until_when() -> None:
    one, two = NOW_MS + 3_600_000, NOW_MS + 7_200_000
    found = [Asked("window", two), Asked("window", one), Asked(), Asked("window", one)]
    assert waiting([*found, Asked("window")], now_ms=NOW_MS) == (
        "1 waits for its window",
        "2 wait for their window until 13:00 UTC",
        "1 waits for its window until 14:00 UTC",
    )


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.PENDING])
def test_what_has_ended_is_called_by_its_outcome(outcome: Outcome) -> None:
    assert phase(outcome, State.PROBATION, NOW_MS, now_ms=NOW_MS) == outcome
