"""Does what the table in update.py says: the only code that changes what runs.

First the promise: the journal, with the report of the step in it, is replaced durably. Then
the deeds, each of which can be done twice. What cannot be done now stays to be done, with
growing pauses; a kill at any moment leaves the journal to say what was promised.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final

from littoral.backoff import Backoff
from littoral.errors import JournalError, LittoralError, StorageError
from littoral.journal_log import about
from littoral.tree import Tree
from littoral.wire.journal import MOST_UNTOLD, Choice, Journal, Said, State
from littoral_agent import holdings, saying
from littoral_agent.deeds import Deeds
from littoral_agent.ledger import Ledger
from littoral_agent.probation import Outcome
from littoral_agent.reports import Reports
from littoral_agent.saying import MOST_DETAIL
from littoral_agent.settings import Settings
from littoral_agent.update import TABLE, Do, Event, step

REMEMBER_S: Final = 30.0  # how much of a probation a power cut may cost

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """What is to be done for one model, and when."""

    backoff: Backoff
    deeds: list[Do] = field(default_factory=list)
    due_s: float = 0.0
    left: str | None = None  # the manifest that the last step took out of probation
    rerun_s: float | None = None  # when serve is to be brought in line, beside the deeds
    unwritten_s: float = 0.0  # of probation


class Updater:
    """The journals, and the deeds that they ask for. One thread at a time.

    Args:
        tree: Where everything lies; one Updater at a time may change it.
        settings: The agent's.
        deeds: Who does things.
        reports: Who tells of each step.
        boot: The id of the machine's present boot.
        named: Returns the manifests that the director names, whose files are kept.

    """

    def __init__(
        self,
        tree: Tree,
        settings: Settings,
        deeds: Deeds,
        *,
        reports: Reports,
        boot: str,
        named: Callable[[], Collection[str]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tree, self._settings, self._deeds = tree, settings, deeds
        self._reports, self._boot = reports, boot
        self._named, self._clock = named, clock
        self._work: dict[str, _Work] = {}
        self._ledger = Ledger(tree)
        self.version = 0  # of the director's document that is acted on

    @property
    def journals(self) -> dict[str, Journal]:
        """Return what is promised of each model."""
        return self._ledger.journals

    def wake(self) -> dict[str, JournalError]:
        """Read the journals and go on where they say; return those that cannot be read.

        They are set aside; of their models is remembered what was proven last.
        """
        unreadable = self._ledger.read()
        for model, e in unreadable.items():
            self._reports.tell("journal", f"{model}: {e}"[:MOST_DETAIL], code=e.code)
        for model, held in list(self.journals.items()):
            for said in (*held.untold, held.said):
                if said is not None:
                    self._reports.step(said)
            try:
                self.handle(model, Outcome(event=Event.WOKE))
            except StorageError as e:
                log.warning("%s: going on, although %s [%s]", model, e, e.code, extra=about(model))
                self._of(model).deeds = list(TABLE[held.state, Event.WOKE][1])
        return unreadable

    def rest(self) -> None:
        """Remember that the agent stops, and that power is not what ends it."""
        for model, held in self.journals.items():
            if held.boot is None:
                continue
            try:
                self._ledger.write(
                    model, replace(held, boot=None, watched_s=self._watched_s(model))
                )
            except StorageError as e:
                log.warning(
                    "%s: this stop will be taken for a power cut: %s", model, e, extra=about(model)
                )

    def handle(self, model: str, outcome: Outcome, *, choice: Choice | None = None) -> None:
        """Take what happened: remember what follows from it, and what is to be done.

        Raises:
            StorageError: It cannot be remembered, and so did not happen.

        """
        before = self.journals.get(model) or Journal(model=model)
        before = replace(before, watched_s=self._watched_s(model))
        taken = step(
            before,
            outcome.event,
            choice=choice,
            code=outcome.code,
            boot=self._boot,
            keep=self._settings.keep,
        )
        after = taken.journal
        if outcome.before_p95_us is not None:
            after = replace(after, before_p95_us=outcome.before_p95_us)
        if after != before or model not in self.journals:
            said = saying.said(
                before,
                taken,
                outcome,
                version=self.version,
                time_ms=self._reports.now_ms(),
                probation_s=self._settings.probation_s,
            )
            after = replace(after, said=said, untold=self._untold(before))
            self._ledger.promise(model, before, after)
            saying.write_down(log, after, taken.event, outcome)
            self._reports.step(said)
        work = self._of(model)
        work.deeds, work.due_s = list(taken.deeds), self._clock()
        work.unwritten_s = 0.0
        work.backoff.reset()
        if before.state is State.PROBATION and after.running != before.running:
            work.left = before.candidate.manifest if before.candidate else None

    def work(self, *, quick: bool = False) -> float:
        """Do what is due; return after how many seconds something else will be.

        With ``quick``, only what takes no time: for who waits for something else meanwhile.
        """
        self._reports.flush()
        for model in list(self.journals):
            work = self._of(model)
            self._ledger.catch_up(model)
            if work.rerun_s is not None and work.rerun_s <= self._clock():
                self._rerun(model, work)
            while work.deeds and work.due_s <= self._clock():
                if quick and work.deeds[0] in (Do.FETCH, Do.TRY):
                    break
                self._next(model, work)
        return self.due_in_s()

    def run_again(self) -> None:
        """Serve was started: see to it that it runs what the journals say."""
        for model in self.journals:
            work = self._of(model)
            work.rerun_s = self._clock()
            if work.deeds and work.deeds[0] is not Do.FETCH:
                work.due_s = self._clock()

    def busy(self) -> frozenset[str]:
        """Return the models whose candidate serves, watched."""
        return frozenset(m for m, j in self.journals.items() if j.state is State.PROBATION)

    def due_in_s(self) -> float:
        """Return after how many seconds there is something to do."""
        due = [work.due_s for work in self._work.values() if work.deeds]
        due += [work.rerun_s for work in self._work.values() if work.rerun_s is not None]
        return max(0.0, min(due) - self._clock()) if due else float("inf")

    def _next(self, model: str, work: _Work) -> None:
        """Do the next deed of ``model``; if it cannot be done now, say when it is tried again."""
        deed, held = work.deeds[0], self.journals[model]
        arrived = self._deeds.arrived(held) if deed is Do.FETCH else 0
        try:
            outcome = self._do(deed, model, work)
            if outcome is not None:
                self.handle(model, outcome)
                return
        except LittoralError as e:
            if deed is Do.FETCH and self._deeds.arrived(held) > arrived:
                work.backoff.reset()
            self._put_off(model, deed, work, e)
            return
        if deed is Do.WATCH:
            work.due_s = self._clock() + self._settings.serve_poll_s
        else:
            work.deeds.pop(0)
            work.backoff.reset()

    def _put_off(self, model: str, deed: Do, work: _Work, error: LittoralError) -> None:
        pause_s = work.backoff.next()
        if deed is Do.WATCH:
            pause_s = self._settings.serve_poll_s
        work.due_s = self._clock() + pause_s
        log.warning(
            "%s: %s again in %.1f s: %s [%s]",
            model,
            deed,
            pause_s,
            error,
            error.code,
            extra=about(model),
        )

    def _do(self, deed: Do, model: str, work: _Work) -> Outcome | None:
        held = self.journals[model]
        match deed:
            case Do.FETCH:
                return self._deeds.fetch(held)
            case Do.TRY:
                return self._deeds.try_(held)
            case Do.RUN:
                return self._deeds.run(held, left=work.left)
            case Do.WATCH:
                return self._watch(model, work)
            case Do.STOP:
                self._deeds.stop(held)
            case Do.COLLECT:
                self._collect()
        return None

    def _watch(self, model: str, work: _Work) -> Outcome | None:
        held = self.journals[model]
        outcome, passed_s = self._deeds.watch(replace(held, watched_s=self._watched_s(model)))
        work.unwritten_s += passed_s
        if outcome is None and work.unwritten_s >= REMEMBER_S:
            self._ledger.write(model, replace(held, watched_s=self._watched_s(model)))
            work.unwritten_s = 0.0
        return outcome

    def _rerun(self, model: str, work: _Work) -> None:
        work.rerun_s = None
        try:
            outcome = self._deeds.run(self.journals[model], left=work.left)
            if outcome is not None:
                self.handle(model, outcome)
        except LittoralError as e:
            work.rerun_s = self._clock() + self._settings.poll_every_s
            log.warning(
                "%s does not run as it should: %s [%s]", model, e, e.code, extra=about(model)
            )

    def _collect(self) -> None:
        if holdings.lost(self._tree) - self.journals.keys():
            return  # a model is not proven again yet: its files are nobody's, and must stay
        needed = [
            one
            for held in self.journals.values()
            for one in (held.good, held.candidate, *held.kept)
            if one is not None
        ]
        bad = {sha256 for held in self.journals.values() for sha256 in held.quarantine}
        holdings.collect(self._tree, needed, named=frozenset(self._named()) - bad)

    def _untold(self, before: Journal) -> tuple[Said, ...]:
        """Return the reports of earlier steps that the disk did not take yet, into the spool."""
        told = [*before.untold, *([before.said] if before.said else [])]
        return tuple(one for one in told if self._reports.waits(one.id))[-MOST_UNTOLD:]

    def _of(self, model: str) -> _Work:
        settings = self._settings
        if model not in self._work:
            self._work[model] = _Work(Backoff(settings.retry_first_s, settings.retry_most_s))
        return self._work[model]

    def _watched_s(self, model: str) -> float:
        held, work = self.journals.get(model), self._work.get(model)
        return (held.watched_s if held else 0.0) + (work.unwritten_s if work else 0.0)
