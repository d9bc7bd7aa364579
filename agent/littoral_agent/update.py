"""An update's life, as a table. Nothing here touches disk, network or clock.

The candidate serves only on probation, and ``good`` stays what it was until somebody says
HEALTHY. So going back is not something the agent must manage to do: it is what happens
when nobody says so.

docs/update.md draws TABLE; tests/agent/test_update.py keeps drawing and table the same.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from littoral.errors import MeteredError, TrialError, UnhealthyError
from littoral.wire.journal import Choice, Journal, Quarantine, State, Waits

MOST_TRIES: Final = 3  # how often a candidate may be cut short before that counts against it
MOST_QUARANTINED: Final = 64  # manifests remembered per model


class Event(StrEnum):
    DESIRED = "desired"  # another release is named than the good one
    DROPPED = "dropped"  # the one under way is no longer named
    REMOVED = "removed"  # the model is not named at all: it shall not run
    FETCHED = "fetched"  # the candidate's files are here, whole
    POSTPONED = "postponed"  # it must wait: for its window, another network, another month
    REFUSED = "refused"  # they are not what was promised, or cannot be had or run here
    PASSED = "passed"  # the candidate gave its golden outputs, within its budgets
    FAILED = "failed"  # it did not do what it must, and the fault is its own
    STUMBLED = "stumbled"  # it was cut short, perhaps not by its own fault
    HEALTHY = "healthy"  # it did its work on probation
    WOKE = "woke"  # the agent started: at boot, or after power was lost at any moment


class Do(StrEnum):
    FETCH = "fetch"  # bring the candidate's files; what has arrived is kept
    TRY = "try"  # let serve run the candidate's self-test in a child
    RUN = "run"  # let serve run what the journal says runs
    WATCH = "watch"  # see how the candidate does, until that is known
    STOP = "stop"  # let serve run nothing under this name
    COLLECT = "collect"  # delete the files that no journal names


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened, and why."""

    event: Event
    choice: Choice | None = None  # with DESIRED: what it is
    code: str | None = None
    detail: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    before_p95_us: float | None = None  # with PASSED: of the release that is to be replaced
    waits: Waits | None = None  # with POSTPONED: for what
    after_s: float = 0.0  # with POSTPONED and STUMBLED: in how many seconds to go on


_BACK: Final = (State.IDLE, (Do.RUN, Do.COLLECT))
_GONE: Final = (State.IDLE, (Do.STOP, Do.COLLECT))
_SPARED: Final = (State.IDLE, (Do.COLLECT,))  # the candidate never served: good does

TABLE: Final[dict[tuple[State, Event], tuple[State, tuple[Do, ...]]]] = {
    (State.IDLE, Event.DESIRED): (State.FETCHING, (Do.FETCH,)),
    (State.IDLE, Event.REMOVED): _GONE,
    (State.IDLE, Event.WOKE): _BACK,
    (State.FETCHING, Event.FETCHED): (State.TESTING, (Do.TRY,)),
    (State.FETCHING, Event.POSTPONED): (State.FETCHING, (Do.FETCH,)),
    (State.FETCHING, Event.REFUSED): _SPARED,
    (State.FETCHING, Event.DROPPED): _SPARED,
    (State.FETCHING, Event.REMOVED): _GONE,
    (State.FETCHING, Event.WOKE): (State.FETCHING, (Do.FETCH,)),
    (State.TESTING, Event.PASSED): (State.PROBATION, (Do.RUN, Do.WATCH)),
    # Whoever waits is not being run: a power cut while it waits is not its fault.
    (State.TESTING, Event.POSTPONED): (State.FETCHING, (Do.FETCH,)),
    (State.TESTING, Event.FAILED): _SPARED,
    (State.TESTING, Event.REFUSED): _SPARED,
    (State.TESTING, Event.STUMBLED): (State.TESTING, (Do.TRY,)),
    (State.TESTING, Event.DROPPED): _SPARED,
    (State.TESTING, Event.REMOVED): _GONE,
    (State.TESTING, Event.WOKE): (State.TESTING, (Do.TRY,)),
    (State.PROBATION, Event.HEALTHY): _SPARED,  # and good moves: see step()
    (State.PROBATION, Event.FAILED): _BACK,
    (State.PROBATION, Event.REFUSED): _BACK,
    (State.PROBATION, Event.STUMBLED): (State.PROBATION, (Do.RUN, Do.WATCH)),
    (State.PROBATION, Event.DROPPED): _BACK,
    (State.PROBATION, Event.REMOVED): _GONE,
    (State.PROBATION, Event.WOKE): (State.PROBATION, (Do.RUN, Do.WATCH)),
}


@dataclass(frozen=True, slots=True)
class Step:
    """What to remember, then what to do; ``event`` is the row that was taken."""

    journal: Journal
    deeds: tuple[Do, ...]
    event: Event


def step(
    journal: Journal,
    outcome: Outcome,
    *,
    boot: str = "",
    keep: int = 0,
    pinned: Collection[int] = (),
) -> Step:
    """Return what follows from ``outcome``.

    Args:
        journal: What is remembered now.
        outcome: What happened.
        boot: The id of the machine's present boot.
        keep: How many releases that were good before have their files kept, …
        pinned: … and which have them kept beside those.

    Raises:
        ValueError: It cannot happen in this state; the caller is wrong.

    """
    event, choice, code = outcome.event, outcome.choice, outcome.code
    if (journal.state, event) not in TABLE:
        raise ValueError(f"{event} cannot happen while {journal.state}")
    tries = journal.tries + _counts(journal, event, boot)
    if tries >= MOST_TRIES and event in (Event.STUMBLED, Event.WOKE):
        event, code = Event.FAILED, code or UnhealthyError.code
    state, deeds = TABLE[journal.state, event]
    after = replace(
        journal,
        tries=tries,
        boot=_boot(state, boot),
        waits=outcome.waits,
        patient_until_ms=journal.patient_until_ms or _patient(outcome.waits),
        before_p95_us=outcome.before_p95_us or journal.before_p95_us,
    )
    match event:
        case Event.DESIRED if choice is not None:
            after = _begun(after, choice)
        case Event.DESIRED:
            raise ValueError("desired says which release")
        case Event.HEALTHY:
            after = _proven(after, keep, pinned)
        case Event.FAILED:
            after = _ended(_quarantined(after, code or TrialError.code))
        case Event.REMOVED:
            after = replace(_ended(after), good=None, kept=(), stopped=True)
        case Event.REFUSED | Event.DROPPED:
            after = _ended(after)
        case Event.WOKE:
            after = replace(after, state=state, waits=journal.waits)
        case _:
            after = replace(after, state=state)
    return Step(after, deeds, event)


def follows(journal: Journal, choice: Choice | None) -> Event | None:
    """Return what it means that the director names ``choice`` (None: not the model at all).

    What is quarantined is not tried again. What is under way and not named is dropped first.
    """
    if choice is None:
        return Event.REMOVED if journal.good or journal.candidate else None
    if journal.candidate is not None:
        return None if same(journal.candidate, choice) else Event.DROPPED
    known = same(journal.good, choice) or quarantine(journal, choice)
    return None if known else Event.DESIRED


def same(one: Choice | None, other: Choice) -> bool:
    """Whether they run the same bytes in the same way; attempts aside."""
    mine = one and (one.manifest, one.variant, one.hardware)
    return mine == (other.manifest, other.variant, other.hardware)


def quarantine(journal: Journal, choice: Choice) -> Quarantine | None:
    """Return why ``choice`` must not be tried, None if it may: a greater attempt lifts it."""
    found = journal.quarantine.get(choice.manifest)
    return found if found is not None and choice.attempt <= found.attempt else None


def _counts(journal: Journal, event: Event, boot: str) -> int:
    """Return 1 if ``event`` cut the candidate short: the agent's own restarts do not."""
    power = event is Event.WOKE and journal.boot not in (None, boot)
    return int(event is Event.STUMBLED or power)


def _patient(waits: Waits | None) -> int | None:
    """Return until when another network is waited for: other waits in between change nothing."""
    return waits.until_ms if waits is not None and waits.code == MeteredError.code else None


def _boot(state: State, boot: str) -> str | None:
    return boot if state in (State.TESTING, State.PROBATION) else None


def _begun(journal: Journal, choice: Choice) -> Journal:
    lifted = {k: v for k, v in journal.quarantine.items() if k != choice.manifest}
    return replace(
        journal,
        state=State.FETCHING,
        candidate=choice,
        quarantine=lifted,
        stopped=False,
        patient_until_ms=None,
    )


def _ended(journal: Journal) -> Journal:
    nothing = journal.state is State.PROBATION and journal.good is None
    return replace(
        journal,
        state=State.IDLE,
        stopped=journal.stopped or nothing,
        candidate=None,
        tries=0,
        watched_s=0.0,
        before_p95_us=None,
        boot=None,
        patient_until_ms=None,
    )


def _proven(journal: Journal, keep: int, pinned: Collection[int]) -> Journal:
    good = journal.candidate
    before = [one for one in (journal.good, *journal.kept) if one is not None]
    others = [one for one in before if good is None or not same(one, good)]
    newest = [one for one in others if one.release not in pinned][:keep]
    kept = tuple(one for one in others if one in newest or one.release in pinned)
    return replace(_ended(journal), good=good, kept=kept, stopped=False)


def _quarantined(journal: Journal, code: str) -> Journal:
    failed = journal.candidate
    if failed is None:
        return journal
    others = {k: v for k, v in journal.quarantine.items() if k != failed.manifest}
    latest = dict(list(others.items())[-(MOST_QUARANTINED - 1) :])
    return replace(
        journal,
        quarantine={**latest, failed.manifest: Quarantine(code=code, attempt=failed.attempt)},
    )
