"""From what the director names to the events of each model's life, without asking anybody."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from littoral.errors import UnfitError, UnreachableError
from littoral.trust.beliefs import Assignment, Desired
from littoral.wire.journal import Choice, Journal, Quarantine, State
from littoral_agent.pursuit import Pursuit
from littoral_agent.update import Event, Outcome

ONE = Assignment(
    model="digits", release=2, manifest_sha256="b" * 64, length=10, hardware="cpu-x86_64"
)
GOOD = Choice(release=1, manifest="a" * 64, variant="cpu", hardware="cpu-x86_64")
TWO = replace(GOOD, release=2, manifest="b" * 64)


class Life:
    def __init__(self, *journals: Journal) -> None:
        self.journals = {one.model: one for one in journals}
        self.taken: list[tuple[str, Event, str]] = []

    def take(self, model: str, outcome: Outcome) -> None:
        self.taken.append((model, outcome.event, outcome.detail))
        if outcome.event is Event.DROPPED:
            self.journals[model] = replace(self.journals[model], state=State.IDLE, candidate=None)


class Refusals:
    def __init__(self) -> None:
        self.told: list[str] = []

    def condemned(self, *_: object, version: int) -> None:
        self.told.append(f"condemned {version}")

    def release(self, one: Assignment, _: object, error: Exception, *, version: int) -> None:
        self.told.append(f"{one.model} {error} {version}")


def pursuit(*journals: Journal) -> tuple[Pursuit, Life, Refusals]:
    life, refusals = Life(*journals), Refusals()
    return Pursuit(life, refusals), life, refusals  # type: ignore[arg-type]


def desired(*assignments: Assignment) -> Desired:
    expires = datetime(2027, 1, 1, tzinfo=UTC)
    return Desired(version=7, expires=expires, assignments=assignments)


def test_what_is_good_or_under_way_needs_nobody() -> None:
    for held in (
        Journal(model="digits", good=TWO),
        Journal(model="digits", state=State.TESTING, candidate=TWO),
    ):
        one, life, _ = pursuit(held)
        assert (one.follow(desired(ONE)), life.taken) == ([], [])


def test_what_is_new_has_to_be_looked_up_and_is_begun_once_it_is_known() -> None:
    one, life, _ = pursuit(Journal(model="digits", good=GOOD))
    assert one.follow(desired(ONE)) == [ONE]
    one.learn({ONE: TWO})
    assert one.follow(desired(ONE)) == []
    assert life.taken == [("digits", Event.DESIRED, "")]


def test_what_is_named_no_more_ends_and_says_what_runs_instead() -> None:
    held = Journal(model="digits", good=GOOD, state=State.PROBATION, candidate=TWO)
    one, life, _ = pursuit(held)
    one.give_up(desired())
    (dropped,) = life.taken
    assert dropped[:2] == ("digits", Event.DROPPED)
    assert "release 1, which is proven, runs again" in dropped[2]
    one.follow(desired())
    assert life.taken[-1][:2] == ("digits", Event.REMOVED)


def test_quarantine_holds_until_a_greater_attempt() -> None:
    bad = {ONE.manifest_sha256: Quarantine(code="crash", attempt=3)}
    held = Journal(model="digits", good=GOOD, quarantine=bad)
    one, life, refusals = pursuit(held)
    assert one.follow(desired(replace(ONE, attempt=3))) == []
    assert (refusals.told, life.taken) == (["condemned 7"], [])
    again = replace(ONE, attempt=4)
    assert one.follow(desired(again)) == [again]


def test_a_refusal_is_told_and_an_outage_is_none() -> None:
    one, life, refusals = pursuit()
    other = replace(ONE, model="faces")
    one.learn({ONE: UnfitError("too large"), other: UnreachableError("away")})
    with pytest.raises(UnreachableError, match="away"):
        one.follow(desired(ONE, other))
    assert (refusals.told, life.taken) == (["digits too large 7"], [])
