"""The table of an update's life, the table's picture, and what may follow from what."""

from dataclasses import replace
from pathlib import Path

import pytest

from littoral.wire.journal import Choice, Journal, Quarantine, State
from littoral_agent.update import (
    MOST_QUARANTINED,
    MOST_TRIES,
    TABLE,
    Do,
    Event,
    Outcome,
    follows,
    step,
)

DRAWING = Path(__file__).parents[2] / "docs/update.md"


def choice(release: int, *, attempt: int = 0) -> Choice:
    return Choice(
        manifest=f"{release:064x}",
        release=release,
        variant="cpu",
        hardware="cpu-x86_64",
        attempt=attempt,
    )


GOOD = Journal(model="digits", good=choice(1))
FETCHING = replace(GOOD, state=State.FETCHING, candidate=choice(2))
TESTING = replace(FETCHING, state=State.TESTING, boot="monday")
PROBATION = replace(TESTING, state=State.PROBATION, watched_s=5.0, before_p95_us=80.0)
LIVES = {j.state: j for j in (GOOD, FETCHING, TESTING, PROBATION)}


def drawing() -> str:
    arrows = [f"    {a} --> {b}: {event}" for (a, event), (b, _) in TABLE.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> idle", *arrows, "```"])


def test_the_drawing_is_of_this_table() -> None:
    assert drawing() in DRAWING.read_text()


def test_every_state_and_event_is_told_in_the_docs() -> None:
    text = DRAWING.read_text()
    for word in (*State, *Event):
        assert f"| `{word}` |" in text


def test_every_state_knows_what_to_do_after_a_power_cut() -> None:
    assert {state for state, event in TABLE if event is Event.WOKE} == set(State)


def test_every_state_yields_to_a_newer_wish() -> None:
    """What is under way is dropped before anything else begins."""
    assert {state for state, row in TABLE if row is Event.REMOVED} == set(State)
    assert {state for state, row in TABLE if row is Event.DROPPED} == set(State) - {State.IDLE}
    assert {state for state, row in TABLE if row is Event.DESIRED} == {State.IDLE}


def test_every_state_can_be_reached_and_left() -> None:
    assert {after for after, _ in TABLE.values()} == set(State)
    assert {before for before, _ in TABLE} == set(State)


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_only_the_healthy_row_moves_good_forward(state: State, event: Event) -> None:
    after = step(LIVES[state], Outcome(event=event, choice=choice(3)), boot="monday").journal
    match event:
        case Event.HEALTHY:
            assert after.good == choice(2)
        case Event.REMOVED:
            assert after.good is None
        case _:
            assert after.good == choice(1)


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_leaving_probation_lets_good_run_again(state: State, event: Event) -> None:
    taken = step(LIVES[state], Outcome(event=event, choice=choice(3)), boot="monday")
    left = state is State.PROBATION and taken.journal.state is not State.PROBATION
    if left and event not in (Event.HEALTHY, Event.REMOVED):
        assert taken.deeds[0] is Do.RUN


def test_what_cannot_happen_is_said() -> None:
    with pytest.raises(ValueError, match="healthy cannot happen while idle"):
        step(GOOD, Outcome(event=Event.HEALTHY))
    with pytest.raises(ValueError, match="desired says which release"):
        step(GOOD, Outcome(event=Event.DESIRED))


@pytest.mark.parametrize("state", [State.TESTING, State.PROBATION])
def test_a_fault_of_its_own_is_quarantined_at_once(state: State) -> None:
    after = step(LIVES[state], Outcome(event=Event.FAILED, code="outputs")).journal
    assert after.quarantine == {choice(2).manifest: Quarantine(code="outputs", attempt=0)}
    assert follows(after, choice(2)) is None
    assert follows(after, choice(2, attempt=1)) is Event.DESIRED


def test_a_refusal_quarantines_nothing_and_a_greater_attempt_lifts_what_was() -> None:
    assert not step(FETCHING, Outcome(event=Event.REFUSED)).journal.quarantine
    failed = step(TESTING, Outcome(event=Event.FAILED, code="outputs")).journal
    assert not step(
        failed, Outcome(event=Event.DESIRED, choice=choice(2, attempt=1))
    ).journal.quarantine


@pytest.mark.parametrize("state", [State.TESTING, State.PROBATION])
def test_power_cuts_get_three_tries(state: State) -> None:
    journal, boots = LIVES[state], iter(["tuesday", "wednesday", "thursday"])
    for _ in range(MOST_TRIES - 1):
        taken = step(journal, Outcome(event=Event.WOKE), boot=next(boots))
        journal = taken.journal
        assert (journal.state, taken.event) == (state, Event.WOKE)
    taken = step(journal, Outcome(event=Event.WOKE), boot=next(boots))
    assert (taken.journal.state, taken.event) == (State.IDLE, Event.FAILED)
    assert taken.journal.quarantine[choice(2).manifest].code == "unhealthy"


@pytest.mark.parametrize("state", [State.TESTING, State.PROBATION])
def test_stumbling_gets_three_tries_and_keeps_its_reason(state: State) -> None:
    journal = LIVES[state]
    for _ in range(MOST_TRIES):
        journal = step(journal, Outcome(event=Event.STUMBLED, code="memory"), boot="monday").journal
    assert journal.state is State.IDLE
    assert journal.quarantine[choice(2).manifest].code == "memory"


def test_the_agents_own_restarts_are_nobodys_fault() -> None:
    for journal in (TESTING, PROBATION):
        for _ in range(10):
            journal = step(journal, Outcome(event=Event.WOKE), boot="monday").journal  # noqa: PLW2901
        assert journal.tries == 0


def test_a_reboot_that_let_the_agent_stop_first_is_no_power_cut() -> None:
    stopped = replace(PROBATION, boot=None)
    woken = step(stopped, Outcome(event=Event.WOKE), boot="tuesday").journal
    assert (woken.tries, woken.boot) == (0, "tuesday")


def test_tries_add_up_over_testing_and_probation_and_end_with_the_candidate() -> None:
    once = step(TESTING, Outcome(event=Event.STUMBLED, code="deadline"), boot="monday").journal
    assert step(once, Outcome(event=Event.PASSED), boot="monday").journal.tries == 1
    assert step(once, Outcome(event=Event.DROPPED)).journal.tries == 0


def test_what_a_candidate_is_held_against_is_remembered_while_it_is_watched() -> None:
    passed = Outcome(event=Event.PASSED, before_p95_us=80.0)
    watched = step(replace(TESTING, before_p95_us=None), passed).journal
    assert watched.before_p95_us == 80.0
    assert step(watched, Outcome(event=Event.STUMBLED)).journal.before_p95_us == 80.0
    assert step(watched, Outcome(event=Event.HEALTHY)).journal.before_p95_us is None


def test_what_was_good_is_kept_as_long_as_it_is_asked_for() -> None:
    journal = GOOD
    for release in (2, 3, 4):
        journal = replace(journal, state=State.PROBATION, candidate=choice(release))
        journal = step(journal, Outcome(event=Event.HEALTHY), keep=2).journal
    assert [one.release for one in journal.kept] == [3, 2]
    back = replace(journal, state=State.PROBATION, candidate=choice(3))
    assert [
        one.release for one in step(back, Outcome(event=Event.HEALTHY), keep=2).journal.kept
    ] == [4, 2]


def test_what_is_pinned_is_kept_beside_the_newest_and_takes_no_place() -> None:
    journal = GOOD
    for release in (2, 3, 4, 5):
        journal = replace(journal, state=State.PROBATION, candidate=choice(release))
        healthy = Outcome(event=Event.HEALTHY)
        journal = step(journal, healthy, keep=1, pinned={1, 3, 9}).journal
    assert [one.release for one in journal.kept] == [4, 3, 1]


@pytest.mark.parametrize(
    ("journal", "named", "event"),
    [
        (GOOD, choice(1), None),
        (GOOD, choice(2), Event.DESIRED),
        (GOOD, None, Event.REMOVED),
        (Journal(model="digits"), None, None),
        (FETCHING, choice(2), None),
        (FETCHING, choice(2, attempt=5), None),
        (FETCHING, choice(3), Event.DROPPED),
        (PROBATION, choice(3), Event.DROPPED),
        (FETCHING, choice(1), Event.DROPPED),
        (PROBATION, choice(1), Event.DROPPED),
        (PROBATION, None, Event.REMOVED),
    ],
)
def test_what_a_document_means(journal: Journal, named: Choice | None, event: Event | None) -> None:
    assert follows(journal, named) is event


def test_naming_what_is_quarantined_drops_what_is_under_way() -> None:
    bad = {choice(3).manifest: Quarantine(code="latency", attempt=0)}
    assert follows(replace(FETCHING, quarantine=bad), choice(3)) is Event.DROPPED
    assert follows(replace(GOOD, quarantine=bad), choice(3)) is None


def test_the_quarantine_does_not_grow_for_ever() -> None:
    journal = GOOD
    for release in range(2, MOST_QUARANTINED + 20):
        journal = replace(journal, state=State.TESTING, candidate=choice(release))
        journal = step(journal, Outcome(event=Event.FAILED, code="outputs")).journal
        assert choice(release).manifest in journal.quarantine
    assert len(journal.quarantine) == MOST_QUARANTINED
