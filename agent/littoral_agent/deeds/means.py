"""What deeds are done with, and what more than one of them needs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from littoral.errors import (
    BackendMissingError,
    CrashError,
    DiskFullError,
    LatencyError,
    MalformedError,
    OutputsError,
    TrialError,
    UnhealthyError,
    UnsupportedFormatError,
)
from littoral.tree import Tree
from littoral.wire.control import Loaded, Serving
from littoral.wire.journal import Choice, Journal
from littoral_agent.control import Control, OrderDeniedError
from littoral_agent.settings import Settings
from littoral_agent.sources import Sources
from littoral_agent.turns import Turns
from littoral_agent.update import Event, Outcome

# This machine cannot run it; another one can, or this one after it was set right.
_NOT_HERE: Final = frozenset(
    kind.code for kind in (BackendMissingError, DiskFullError, UnsupportedFormatError)
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


def died(when: str) -> Outcome:
    """Return that serve ended: perhaps by the candidate's fault, perhaps not."""
    return Outcome(event=Event.STUMBLED, code=CrashError.code, detail=f"serve ended {when}")
