"""What a victim is told to do, and how it says that it did."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from littoral.wire.journal import State

DONE: Final = 0
DIED: Final = 70  # the thread ended: systemd would start the agent again
LATE: Final = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the journal of the model says when there is nothing left to do."""

    state: State = State.IDLE
    good: int | None
    candidate: int | None = None
    bad: str | None = None  # the code under which anything is quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a victim."""

    root: str
    document: str  # the path of what the director says
    goal: Goal
    boot: str = "boot-1"
    limit_s: float = 20.0
    broken: str | None = None  # a rule of faults.teeth that this victim breaks
    marks: bool = False  # it says into its trace what it promises: faults.crash_marks
    acknowledged: bool = False  # and a console takes each of its reports at once

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"
