"""An update's whole life: what happened, what follows, the promise, the report, the deeds.

update.py is the table of what follows from what; here, and nowhere else, it comes true. First
the promise: the journal is replaced durably, with the report of the step in it. Then the deeds,
each of which can be done twice; what came of one is what happened next. A kill at any moment
leaves the journal to say what was promised, and ``wake`` goes on from there.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Final

from littoral.errors import JournalError, LittoralError, StorageError
from littoral.journal_log import about
from littoral.wire.journal import Journal
from littoral_agent.agenda import Agenda  # when a deed is due
from littoral_agent.deeds import collecting, fetching, running, trying  # how it is done
from littoral_agent.deeds.means import Means
from littoral_agent.deeds.watching import Watching
from littoral_agent.halting import Halt
from littoral_agent.hands import Hands, at_once
from littoral_agent.promises import Promises
from littoral_agent.update import TABLE, Do, Event, Outcome, step

REMEMBER_S: Final = 30.0  # how much of a probation a power cut may cost

log = logging.getLogger(__name__)


class Life:
    """The lives of all models, each for itself. One thread at a time; deeds have their own.

    ``boot`` is the id of the machine's present boot; ``named`` returns the manifests that the
    director names, whose files are kept.
    """

    def __init__(
        self,
        promises: Promises,
        means: Means,
        hands: Hands,
        *,
        boot: str,
        named: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self.promises, self._means, self._hands = promises, means, hands
        self._boot, self._named = boot, named
        self._agenda = Agenda(means.settings, clock=means.clock)
        self._watching = Watching(means)
        self._left: dict[str, str] = {}  # by model, what a step took out of probation

    def wake(self) -> dict[str, JournalError]:
        """Go on where the journals say; return by model those that cannot be read."""
        unreadable = self.promises.read()
        for model, held in list(self.journals.items()):
            try:
                self.take(model, Outcome(event=Event.WOKE))
            except StorageError as e:
                log.warning("%s: going on, although %s [%s]", model, e, e.code, extra=about(model))
                self._agenda.put(model, TABLE[held.state, Event.WOKE][1])
        return unreadable

    def take(self, model: str, outcome: Outcome) -> None:
        """Take what happened: promise what follows from it, tell it, and have it done.

        Raises:
            StorageError: It cannot be promised, and so did not happen.

        """
        before = self._watched(self.journals.get(model) or Journal(model=model))
        taken = step(before, outcome, boot=self._boot, keep=self._means.settings.keep)
        if taken.journal != before or model not in self.journals:
            self.promises.promise(before, taken, outcome)
            self._watching.forget(model)
        if before.candidate and before.running not in (before.good, taken.journal.running):
            self._left[model] = before.candidate.manifest
        self._agenda.put(model, taken.deeds, after_s=outcome.after_s)

    def work(self) -> None:
        """Begin what is due."""
        self.promises.catch_up()
        for model, deed in self._agenda.due():
            start = at_once if deed is Do.COLLECT else None
            job = partial(self._do, deed, self._watched(self.journals[model]))
            came = partial(self._came, model, deed)
            halt = self._hands.begin(f"{model} {deed}", job, came, start=start)
            self._agenda.began(model, deed, halt)

    def due_in_s(self) -> float:
        """Return after how many seconds there is something to begin, if nothing ends before."""
        return self._agenda.due_in_s()

    def _do(self, deed: Do, held: Journal, halt: Halt) -> Outcome | None:
        match deed:
            case Do.FETCH:
                return fetching.do(self._means, held, halt)
            case Do.TRY:
                return trying.do(self._means, held, halt)
            case Do.RUN:
                return running.do(self._means, held, halt, left=self._left.get(held.model))
            case Do.WATCH:
                return self._watching.do(held, halt)
            case Do.STOP:
                running.stop(self._means, held)
            case Do.COLLECT:
                collecting.do(self._means.tree, self.journals, self._named())
        return None

    def _came(self, model: str, deed: Do, halt: Halt, came: Outcome | LittoralError | None) -> None:
        if not self._agenda.ended(model, halt):
            return  # something else happened meanwhile
        try:
            match came:
                case Outcome():
                    self.take(model, came)
                case LittoralError():
                    self._agenda.later(model, deed, came)
                case None:
                    self._agenda.done(model, deed)
                    self._remember(self.journals[model])
        except StorageError as e:
            self._agenda.later(model, deed, e)

    def _remember(self, held: Journal) -> None:
        if self._watching.unwritten_s(held) >= REMEMBER_S:
            self.promises.remember(self._watched(held))
            self._watching.written(held.model)

    def serve_started(self) -> None:
        """See to it that serve runs what the journals say."""
        for model in self.journals:
            self._agenda.again(model)

    def rest(self) -> None:
        """Remember that the agent stops, and that power is not what ends it."""
        self._hands.halt()
        for held in list(self.journals.values()):
            if held.boot is not None:
                self.promises.rest(self._watched(held))

    @property
    def journals(self) -> dict[str, Journal]:
        """Return what is promised of each model."""
        return self.promises.journals

    def _watched(self, held: Journal) -> Journal:
        return replace(held, watched_s=self._watching.total_s(held))
