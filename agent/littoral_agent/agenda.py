"""What is to be done for each model, and when: nothing here does it.

A model's deeds are done one after the other. What cannot be done now is due again after growing
pauses; no model waits for another's. Serve may have to be brought in line beside the deeds.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from littoral.backoff import Backoff
from littoral.errors import LittoralError, UnreachableError
from littoral.journal_log import about
from littoral_agent.halting import Halt
from littoral_agent.settings import Settings
from littoral_agent.update import Do

# Serve tries one candidate at a time and loads one model at a time: who waits for the other
# must not take that for a serve which does not answer.
_AT_ONCE: Final = {Do.TRY: 1, Do.RUN: 1}
_MOST_AT_ONCE: Final = 8  # of any other deed: a download is two threads, and an agent may have 64
_MOST_LEFT: Final = 8  # that take no place: who waits for a silent server ends only when it is slow
_MAY_BE_LEFT: Final = frozenset({Do.FETCH})  # halted, it changes nothing: nobody waits for its end

log = logging.getLogger(__name__)


class FartherError(UnreachableError):
    """It was cut off, but farther than before."""


class AstrayError(UnreachableError):
    """Serve does not run what it should: it has to be brought in line first."""


@dataclass(slots=True)
class _Task:
    """What is to be done for one model."""

    backoff: Backoff
    again: Backoff  # before serve is brought in line anew, where it could not be
    deeds: list[Do] = field(default_factory=list)
    due_s: float = 0.0
    again_s: float = math.inf  # when serve is to be brought in line, beside the deeds
    doing: dict[Halt, Do] = field(default_factory=dict)
    trouble: LittoralError | None = None  # why the first of its deeds was put off


class Agenda:
    """One thread at a time."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._tasks: dict[str, _Task] = {}
        self._left: dict[Halt, Do] = {}  # what is halted, not waited for, and has not ended

    def put(self, model: str, deeds: tuple[Do, ...], *, after_s: float = 0.0) -> None:
        """Let ``deeds`` be all that is to be done; what is being done is no longer wanted."""
        task = self._of(model)
        for halt, deed in list(task.doing.items()):
            halt.say()
            if deed in _MAY_BE_LEFT:
                self._left[halt] = task.doing.pop(halt)
            if deed is Do.RUN and deed not in deeds:
                task.again_s = self._clock()  # serve may come to run what is no longer meant
        task.deeds, task.due_s = list(deeds), self._clock() + after_s
        task.trouble = None
        task.backoff.reset()

    def also(self, deed: Do) -> None:
        """Let ``deed``, with which every life ends, be done now if a model has nothing to do."""
        task = next((one for one in self._tasks.values() if not (one.deeds or one.doing)), None)
        if task is not None:
            task.deeds, task.due_s = [deed], self._clock()

    def due(self) -> Iterator[tuple[str, Do]]:
        """Walk what is to be begun now, what is due longest first.

        Whoever begins it says so before the next.
        """
        for model, task in sorted(self._tasks.items(), key=lambda one: one[1].due_s):
            if task.again_s <= self._clock() and self._free(task, Do.RUN, beside=_MAY_BE_LEFT):
                task.again_s = math.inf
                yield model, Do.RUN
            if task.deeds and task.due_s <= self._clock() and self._free(task, task.deeds[0]):
                yield model, task.deeds[0]

    def began(self, model: str, deed: Do, halt: Halt) -> None:
        self._of(model).doing[halt] = deed

    def ended(self, model: str, halt: Halt) -> bool:
        """Take note that it is no longer being done; return whether it is still wanted."""
        self._of(model).doing.pop(halt, None)
        self._left.pop(halt, None)
        return not halt.said

    def done(self, model: str, deed: Do) -> None:
        """Go on to what comes after ``deed``, which is to be done again if it is WATCH."""
        task = self._of(model)
        if deed is Do.RUN:
            task.again.reset()
        if task.deeds[:1] != [deed]:
            return
        if deed is Do.WATCH:
            task.due_s = self._clock() + self._settings.serve_poll_s
        else:
            task.deeds.pop(0)
            task.trouble = None
            task.backoff.reset()

    def later(self, model: str, deed: Do, error: LittoralError) -> None:
        """Let ``deed``, which could not be done now, be due again after a pause."""
        task, settings = self._of(model), self._settings
        if task.deeds[:1] != [deed]:
            pause_s = task.again.next()
            task.again_s = self._clock() + pause_s
        else:
            if isinstance(error, FartherError):
                task.backoff.reset()
            if isinstance(error, AstrayError):
                task.again_s = self._clock()
            pause_s = settings.serve_poll_s if deed is Do.WATCH else task.backoff.next()
            task.due_s = self._clock() + pause_s
            task.trouble = error
        words = "%s: %s again in %.1f s: %s [%s]"
        log.warning(words, model, deed, pause_s, error, error.code, extra=about(model))

    def serve_started(self) -> None:
        """Let serve be brought in line at once, and asked at once what it could not be."""
        for task in self._tasks.values():
            task.again_s = self._clock()
            if task.deeds and task.deeds[0] is not Do.FETCH:
                task.due_s = self._clock()

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done, now or later."""
        tasks = self._tasks.values()
        return not any(task.deeds or task.doing or task.again_s < math.inf for task in tasks)

    @property
    def unfetched(self) -> LittoralError | None:
        """Return why files do not come now, of any model, None where they do. Any thread."""
        tasks = self._tasks.copy().values()
        return next((t.trouble for t in tasks if t.trouble and t.deeds[:1] == [Do.FETCH]), None)

    @property
    def switching(self) -> bool:
        """Whether serve is being told just now what to run, or is about to be. Any thread."""
        now = self._clock()
        return any(
            Do.RUN in task.doing.copy().values()
            or (task.deeds[:1] == [Do.RUN] and task.due_s <= now)
            for task in self._tasks.copy().values()
        )

    def due_in_s(self) -> float:
        """Return after how many seconds something is to be begun, if nothing ends before."""
        now, due = self._clock(), [math.inf]
        for task in self._tasks.values():
            due += [task.again_s] if self._free(task, Do.RUN, beside=_MAY_BE_LEFT) else []
            due += [task.due_s] if task.deeds and self._free(task, task.deeds[0]) else []
        return max(0.0, min(due) - now)

    def _free(self, task: _Task, deed: Do, *, beside: frozenset[Do] = frozenset()) -> bool:
        """Whether nothing is being done for which ``deed`` has to wait."""
        if not beside >= set(task.doing.values()):
            return False
        going = [*self._left.values()][_MOST_LEFT:]
        for other in self._tasks.values():
            going += other.doing.values()
        return going.count(deed) < _AT_ONCE.get(deed, _MOST_AT_ONCE)

    def _of(self, model: str) -> _Task:
        settings = self._settings
        if model not in self._tasks:
            first_s, most_s = settings.retry_first_s, settings.retry_most_s
            self._tasks[model] = _Task(
                backoff=Backoff(first_s, most_s),
                again=Backoff(first_s, min(most_s, max(first_s, settings.poll_every_s))),
            )
        return self._tasks[model]
