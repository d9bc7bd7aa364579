"""An update's whole life: what happened, what follows, the promise, the report, the deeds.

update.py is the table of what follows from what; here, and nowhere else, it comes true. First
the promise: the journal is replaced durably, with the report of the step in it. Then the deeds,
each of which can be done twice; what came of one is what happened next. A kill at any moment
leaves the journal to say what was promised, and ``wake`` goes on from there.
"""

import logging
from collections.abc import Callable, Collection
from functools import partial

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

Named = Callable[[], Collection[str]]

log = logging.getLogger(__name__)


class Life:
    """The lives of all models, each for itself. One thread at a time; deeds have their own.

    ``boot`` is the id of the machine's present boot; ``named`` returns the manifests that the
    director names, whose files are kept.
    """

    def __init__(
        self, promises: Promises, means: Means, hands: Hands, *, boot: str, named: Named
    ) -> None:
        self.promises, self._means, self._hands = promises, means, hands
        self._boot, self._named = boot, named
        self.agenda = Agenda(means.settings, clock=means.clock)
        self._watching = Watching(means)

    def wake(self) -> dict[str, JournalError]:
        """Go on where the journals say; return by model those that cannot be read."""
        unreadable = self.promises.read()
        for model, held in list(self.journals.items()):
            try:
                self.take(model, Outcome(event=Event.WOKE))
            except StorageError as e:
                log.warning("%s: going on, although %s [%s]", model, e, e.code, extra=about(model))
                self.agenda.put(model, TABLE[held.state, Event.WOKE][1])
        return unreadable

    def take(self, model: str, outcome: Outcome) -> None:
        """Take what happened: promise what follows from it, tell it, and have it done.

        Raises:
            StorageError: It cannot be promised, and so did not happen.

        """
        before = self.journals.get(model) or Journal(model=model)
        keep, pinned = self._means.settings.keep, self._means.settings.pinned_of(model)
        taken = step(before, outcome, boot=self._boot, keep=keep, pinned=pinned)
        if taken.journal != before or model not in self.journals:
            self.promises.promise(before, taken, outcome)
            self._watching.forget(model)
        self.agenda.put(model, taken.deeds, after_s=outcome.after_s)

    def work(self) -> None:
        """Begin what is due."""
        self.promises.catch_up()
        for model, deed in self.agenda.due():
            # What is collected is what no journal names: none may change meanwhile.
            start = at_once if deed is Do.COLLECT else None
            job = partial(self._do, deed, self.journals[model])
            came = partial(self._came, model, deed)
            halt = self._hands.begin(f"{model} {deed}", job, came, start=start)
            self.agenda.began(model, deed, halt)

    def _do(self, deed: Do, held: Journal, halt: Halt) -> Outcome | None:
        match deed:
            case Do.FETCH:
                return fetching.do(self._means, held, halt)
            case Do.TRY:
                return trying.do(self._means, held, halt)
            case Do.RUN:
                return running.do(self._means, held, halt)
            case Do.WATCH:
                return self._watching.do(held, halt)
            case Do.STOP:
                running.stop(self._means, held)
            case Do.COLLECT:
                collecting.do(self._means.tree, self.journals, self._named())
        return None

    def _came(self, model: str, deed: Do, halt: Halt, came: Outcome | LittoralError | None) -> None:
        if not self.agenda.ended(model, halt):
            return  # something else happened meanwhile
        self.promises.watched(model, self._watching.passed_s(model))
        try:
            match came:
                case Outcome():
                    self.take(model, came)
                case LittoralError():
                    self.agenda.later(model, deed, came)
                case None:
                    self.agenda.done(model, deed)
        except StorageError as e:
            self.agenda.later(model, deed, e)

    @property
    def journals(self) -> dict[str, Journal]:
        """Return what is promised of each model."""
        return self.promises.journals
