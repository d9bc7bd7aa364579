"""What the director wants, from the bytes that arrive to the events of each model's life.

A document is looked at until all that it names is settled: good, under way or quarantined.
What is refused is reported once for each version and code, and looked at again later; what
cannot be reached is no verdict, and is looked at again with growing pauses.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from littoral import durable, records
from littoral.backoff import Backoff
from littoral.errors import (
    BundleError,
    ExpiredError,
    JournalError,
    LittoralError,
    SignatureError,
    StorageError,
    TrustError,
    UnreachableError,
)
from littoral.journal_log import about
from littoral.tree import Tree
from littoral.trust.beliefs import Assignment, Desired
from littoral.wire.journal import Choice, Journal
from littoral.wire.messages import Update
from littoral_agent.believe import MAX_DOCUMENT, Believer, Outline, outline
from littoral_agent.life import Life
from littoral_agent.reports import Reports
from littoral_agent.saying import MOST_DETAIL, condemned
from littoral_agent.settings import Settings
from littoral_agent.update import Event, Outcome, follows

NEVER: Final = math.inf
MOST_PATIENCE_S: Final = 24 * 3600.0  # between two looks at what is refused

log = logging.getLogger(__name__)


class Wishes:
    """The last believed document, and what is open of it. One thread at a time."""

    def __init__(
        self,
        tree: Tree,
        settings: Settings,
        believer: Believer,
        life: Life,
        reports: Reports,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tree, self._settings, self._believer = tree, settings, believer
        self._life, self._reports, self._clock = life, reports, clock
        self._backoff = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._held: bytes | None = None  # the document that is believed
        self._heard: bytes | None = None  # one that could not be judged yet
        self._refused: bytes | None = None  # one that was not believed
        self._may_pass = False  # it may be, by a newer root or another time
        self._patience = Backoff(settings.refused_retry_s, MOST_PATIENCE_S)
        self._outline = Outline()
        self._desired: Desired | None = None  # None: not looked at since the agent started
        self._due_s = NEVER
        self._unreached = False

    @property
    def version(self) -> int:
        """Return the version of the document that is believed, 0 for none."""
        return self._outline.version

    @property
    def named(self) -> frozenset[str]:
        """Return the sha256 of the manifests that it names."""
        return self._outline.manifests

    def due_in_s(self) -> float:
        """Return after how many seconds there is something to look at."""
        return max(0.0, self._due_s - self._clock())

    def wake(self, unreadable: Iterable[str] = ()) -> None:
        """Take up the document that was kept; prove again the models whose journals are lost."""
        try:
            with durable.storage_errors(self._tree.desired):
                data = self._tree.desired.read_bytes() if self._tree.desired.exists() else None
            if data is not None:
                self._keep(data, outline(data))
        except (StorageError, records.RecordError) as e:
            self._lost_document(e)
        for model in unreadable:
            choice = self._believer.from_disk(model)
            if choice is not None:
                self._follow(model, choice)
        if not self._settled():
            self._due_s = self._clock()

    def hear(self, data: bytes) -> None:
        """Take a document that arrived. The same one again says that somebody can be reached."""
        if len(data) > MAX_DOCUMENT:
            data = data[: MAX_DOCUMENT + 1]
        known = data in {self._held, self._refused}
        if not known:
            self._heard = data
        if not known or self._unreached:
            self._backoff.reset()
            self._due_s = self._clock()

    def work(self) -> None:
        """Look at what is due."""
        if self._due_s <= self._clock():
            self._due_s = NEVER
            try:
                self._look()
                self._unreached = False
            except (UnreachableError, StorageError) as e:
                self._unreached = True
                pause_s = self._backoff.next()
                self._due_s = self._clock() + pause_s
                log.warning("looking again in %.1f s: %s [%s]", pause_s, e, e.code)
        elif self._due_s == NEVER and (self._may_pass or not self._settled()):
            self._due_s = self._clock() + self._patience.next()

    def _look(self) -> None:
        waiting = self._heard or (self._refused if self._may_pass else None)
        if waiting is None and self._desired is None:
            waiting = self._held
        if waiting is not None:
            self._judge(waiting)
            self._heard = None
        if self._desired is None:
            return
        named = {one.model: one for one in self._desired.assignments}
        for model in [*self._life.journals]:
            if model not in named:
                self._follow(model, None)
        looked_at = [one for one in named.values() if not self._settle(one)]
        if looked_at:
            self._act(looked_at, self._believer.choose(looked_at))
            self._backoff.reset()

    def _act(
        self, looked_at: Iterable[Assignment], chosen: Mapping[str, Choice | LittoralError]
    ) -> None:
        """Take what was found of each. Raises UnreachableError if of any nothing could be."""
        outage: UnreachableError | None = None
        for one in looked_at:
            match chosen[one.model]:
                case Choice() as choice:
                    self._follow(one.model, choice)
                case UnreachableError() as e:
                    outage = e
                case e:
                    self._refuse(one, e)
        if outage is not None:
            raise outage

    def _judge(self, data: bytes) -> None:
        try:
            desired = self._believer.accept(data, accepted=self.version)
        except (TrustError, BundleError) as e:
            log.warning("the director's document is refused: %s [%s]", e, e.code)
            self._reports.tell(
                "director",
                str(e)[:MOST_DETAIL],
                code=e.code,
                once=f"director/{self.version}/{e.code}",
            )
            self._refused, self._may_pass = data, isinstance(e, SignatureError | ExpiredError)
            return
        if desired.version != self.version:
            self._patience.reset()
        self._desired, self._refused, self._may_pass = desired, None, False
        manifests = frozenset(one.manifest_sha256 for one in desired.assignments)
        self._keep(data, Outline(version=desired.version, manifests=manifests))
        log.info("document %d of the director is believed", desired.version)

    def _keep(self, data: bytes, said: Outline) -> None:
        self._held, self._outline = data, said
        self._life.promises.version = said.version

    def _settle(self, one: Assignment) -> bool:
        """Settle ``one`` if nothing needs to be looked up for that; return whether it is."""
        held = self._life.journals.get(one.model)
        if held is None:
            return False
        if _is(held.good, one):
            self._follow(one.model, held.good)
            return True
        if _is(held.candidate, one):
            return True
        bad = held.quarantine.get(one.manifest_sha256)
        if bad is None or one.attempt > bad.attempt:
            return False
        self._say_refused(
            one,
            code=bad.code,
            detail=f"release {one.release} failed here under attempt {bad.attempt}; "
            "it is tried again under a greater one",
            once=condemned(self.version, one.model, one.manifest_sha256, one.attempt),
        )
        return True

    def _refuse(self, one: Assignment, error: LittoralError) -> None:
        once = f"refused/{self.version}/{one.model}/{one.attempt}/{error.code}"
        self._say_refused(one, code=error.code, detail=str(error), once=once)

    def _say_refused(self, one: Assignment, *, code: str, detail: str, once: str) -> None:
        """Say once why ``one`` is not run; what is under way is no longer wanted."""
        held = self._life.journals.get(one.model)
        if held is not None and held.candidate is not None:
            self._life.take(one.model, Outcome(event=Event.DROPPED))
            held = self._life.journals[one.model]
        log.warning(
            "%s: release %d is refused: %s [%s]",
            *(one.model, one.release, detail, code),
            extra=about(one.model, release=one.release, code=code),
        )
        update = _refused(one, held, code=code, detail=detail[:MOST_DETAIL])
        self._reports.tell("update", "", update=update, once=once)

    def _follow(self, model: str, choice: Choice | None) -> None:
        held = self._life.journals.get(model) or Journal(model=model)
        event = follows(held, choice)
        if event is not None:
            self._life.take(model, Outcome(event=event, choice=choice))

    def _settled(self) -> bool:
        """Whether the journals agree with the document, as far as its outline tells."""
        if self._held is None:
            return True
        known: set[str] = set()
        for held in self._life.journals.values():
            chosen = held.candidate or held.good
            if chosen is not None and chosen.manifest not in self.named:
                return False
            known |= {chosen.manifest} if chosen else set()
            known |= held.quarantine.keys()
        return known >= self.named

    def _lost_document(self, error: Exception) -> None:
        log.warning("the director's document cannot be read: %s", error)
        detail = f"the director's document could not be read ({error}); waiting for another"
        self._reports.tell("journal", detail[:MOST_DETAIL], code=JournalError.code)


def _is(choice: Choice | None, one: Assignment) -> bool:
    mine = choice and (choice.manifest, choice.hardware)
    return mine == (one.manifest_sha256, one.hardware)


def _refused(one: Assignment, held: Journal | None, *, code: str, detail: str) -> Update:
    held = held or Journal(model=one.model)
    return Update(
        model=one.model,
        event=Event.REFUSED,
        state=held.state,
        release=one.release,
        manifest=one.manifest_sha256,
        good=held.good.release if held.good else None,
        running=held.running.release if held.running else None,
        code=code,
        detail=detail,
    )
