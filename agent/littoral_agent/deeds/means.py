"""What deeds are done with, and what more than one of them needs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from littoral.errors import (
    BackendMissingError,
    CrashError,
    DiskFullError,
    LatencyError,
    MalformedError,
    OutputsError,
    PostponedError,
    TrialError,
    UnhealthyError,
    UnsupportedFormatError,
    WrongRuntimeError,
)
from littoral.tree import Tree
from littoral.wire.control import Loaded, Serving
from littoral.wire.journal import Choice, Journal, Waits
from littoral.wire.update import WAITS_LEFT
from littoral_agent.coming import Coming
from littoral_agent.control import Control, OrderDeniedError
from littoral_agent.gates import Gates
from littoral_agent.room import Room
from littoral_agent.settings import Settings
from littoral_agent.sources import Sources
from littoral_agent.struck import Struck
from littoral_agent.turns import Turns
from littoral_agent.update import Event, Outcome

_LOOK_AGAIN_S: Final = 60.0  # clocks are set right, and somebody may come with a stick
_SOON_S: Final = 30.0  # where nobody can tell for how long
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# This machine cannot run it; another one can, or this one after it was set right.
_NOT_HERE: Final = frozenset(
    kind.code
    for kind in (BackendMissingError, DiskFullError, UnsupportedFormatError, WrongRuntimeError)
)
_ITS_OWN: Final = frozenset(
    kind.code
    for kind in (TrialError, OutputsError, LatencyError, CrashError, UnhealthyError, MalformedError)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Threads share it."""

    tree: Tree
    settings: Settings
    control: Control
    sources: Sources | None  # None: the device is nobody's
    turns: Turns = field(default_factory=Turns)  # at one file
    room: Room = field(default_factory=Room)  # on the disk
    struck: Struck = field(default_factory=Struck)  # encodings that are asked for no more
    coming: Coming = field(default_factory=Coming)  # how far files are, for who looks on
    gates: Gates = field(default_factory=Gates)  # what has to be passed before something begins
    root: Path = Path("/")  # where the board tells how it is
    clock: Callable[[], float] = time.monotonic


def candidate(journal: Journal) -> Choice:
    if journal.candidate is None:
        raise ValueError(f"{journal.model}: there is no candidate while {journal.state}")
    return journal.candidate


def loaded(state: Serving, model: str) -> Loaded | None:
    return next((one for one in state.models if one.model == model), None)


def denied(error: OrderDeniedError) -> Outcome:
    """Return what serve's no says of the candidate."""
    if error.reason in _NOT_HERE:
        event = Event.REFUSED
    else:
        event = Event.FAILED if error.reason in _ITS_OWN else Event.STUMBLED
    return Outcome(event=event, code=error.reason, detail=str(error))


def check_window(means: Means) -> None:
    """Do nothing if this device may be disturbed now. Raises ClosedError.

    Whoever holds a medium out stands beside it, and says by that when it may.
    """
    if means.sources is None or not means.sources.held_out:
        means.gates.check_window()


def postponed(error: PostponedError, *, now: datetime) -> Outcome:
    """Return that it waits, and until when."""
    if error.until is None:
        left_s, waits = _SOON_S, Waits(code=error.code)
        figures = {}
    else:
        left_s = max((error.until - now).total_seconds(), 0.0)
        until_ms = round((error.until - _EPOCH).total_seconds() * 1000)
        waits, figures = Waits(code=error.code, until_ms=until_ms), {WAITS_LEFT: round(left_s, 3)}
    return Outcome(
        event=Event.POSTPONED,
        code=error.code,
        detail=str(error),
        figures=figures,
        waits=waits,
        after_s=min(left_s, _LOOK_AGAIN_S),
    )


def died(when: str) -> Outcome:
    """Return that serve ended: perhaps by the candidate's fault, perhaps not."""
    return Outcome(event=Event.STUMBLED, code=CrashError.code, detail=f"serve ended {when}")
