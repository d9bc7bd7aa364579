"""What the director wants, from the bytes that arrive to the events of each model's life.

A document is looked at until all that it names is settled: good, under way or quarantined.
What is refused is reported once for each version and code, and looked at again later; what
cannot be reached is no verdict, and is looked at again with growing pauses.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeVar

from littoral import durable, records
from littoral.backoff import Backoff
from littoral.errors import (
    BundleError,
    ExpiredError,
    LittoralError,
    SignatureError,
    StorageError,
    TrustError,
    UnreachableError,
)
from littoral.trust.beliefs import Assignment, Desired
from littoral.wire.journal import Choice
from littoral_agent.believe import Believer
from littoral_agent.carried import Carried
from littoral_agent.deeds.means import Means
from littoral_agent.halting import Halt
from littoral_agent.hands import Hands
from littoral_agent.life import Life
from littoral_agent.outline import MAX_DOCUMENT, Outline, is_newer, outline, settled
from littoral_agent.pursuit import Pursuit
from littoral_agent.refusals import Refusals, Refused
from littoral_agent.update import Do

NEVER: Final = math.inf
MOST_PATIENCE_S: Final = 24 * 3600.0  # between two looks at what is refused

T = TypeVar("T")

log = logging.getLogger(__name__)


class Wishes:
    """The last believed document, and what is open of it. One thread at a time."""

    def __init__(
        self,
        means: Means,
        believer: Believer,
        life: Life,
        refusals: Refusals,
        hands: Hands,
    ) -> None:
        self._tree, self._clock, settings = means.tree, means.clock, means.settings
        self._believer, self._life, self._hands = believer, life, hands
        self._refusals, self._pursuit = refusals, Pursuit(life, refusals)
        self._backoff = Backoff(settings.retry_first_s, settings.retry_most_s)
        self._held: bytes | None = None  # the document that is believed
        self._heard: bytes | None = None  # one that could not be judged yet
        self._refused: bytes | None = None  # one that was not believed
        self._carried: bytes | None = None  # the last one that a medium brought, and nobody else
        self._only_carried = Carried(means.tree.carried)  # of those that were believed
        self._may_pass = False  # it may be, by a newer root or another time
        self._why: LittoralError | None = None  # … it was not
        self._patience = Backoff(settings.refused_retry_s, MOST_PATIENCE_S)
        self._outline = Outline()
        self._desired: Desired | None = None  # None: not looked at since the agent started
        self._looking: Halt | None = None
        self._due_s = NEVER
        self._unreached: LittoralError | None = None

    @property
    def version(self) -> int:
        """Return the version of the document that is believed, 0 for none."""
        return self._outline.version

    @property
    def disbelieved(self) -> tuple[bytes, LittoralError] | None:
        """Return the last document that was not believed, and why."""
        return (self._refused, self._why) if self._refused and self._why else None

    @property
    def unreached(self) -> LittoralError | None:
        """Why what was heard could not be looked at to its end; None: it was."""
        return self._unreached

    @property
    def refused(self) -> Mapping[str, Refused]:
        """Return by model what was refused last, and why."""
        return self._refusals.known

    @property
    def looking(self) -> bool:
        """Whether something is being looked up."""
        return self._looking is not None

    @property
    def named(self) -> frozenset[str]:
        """Return the sha256 of the manifests that it names."""
        return self._outline.manifests

    @property
    def _settled(self) -> bool:
        return self._held is None or settled(self._life.journals.values(), self.named)

    def due_in_s(self) -> float:
        """Return after how many seconds there is something to look at, if nothing ends before."""
        return NEVER if self._looking is not None else max(0.0, self._due_s - self._clock())

    def wake(self, unreadable: Iterable[str] = ()) -> None:
        """Take up the document that was kept; prove again the models whose journals are lost."""
        try:
            with durable.storage_errors(self._tree.desired):
                data = self._tree.desired.read_bytes() if self._tree.desired.exists() else None
            if data is not None:
                self._keep(data, outline(data))
        except (StorageError, records.RecordError) as e:
            self._refusals.lost(e)
        for model in unreadable:
            choice = self._believer.from_disk(model)
            if choice is not None:
                self._pursuit.take(model, choice)
        if not self._settled:
            self._due_s = self._clock()

    def hear(self, data: bytes, *, offline: bool = False) -> None:
        """Take a document that arrived. The same one again says that somebody can be reached.

        What a medium brought, ``offline``, gives way to what the console said and still waits.
        """
        if len(data) > MAX_DOCUMENT:
            data = data[: MAX_DOCUMENT + 1]
        if offline and self._heard is not None and not is_newer(data, self._heard):
            return
        if offline or data == self._carried:
            self._carried = data if offline else None
        if not offline and self._only_carried.holds(data):
            self._only_carried.drop()
        known = data in {self._held, self._refused}
        if not known:
            self._heard = data
            self._foretell(data)
        # Somebody who holds out a medium again has perhaps mended it.
        anew = offline and (not self._settled or (self._may_pass and data == self._refused))
        if not known or self._unreached or anew:
            self._backoff.reset()
            self._due_s = self._clock()

    def work(self) -> None:
        """Begin to look at what is due."""
        if self._looking is not None:
            return
        if self._due_s <= self._clock():
            self._due_s = NEVER
            self._look()
        elif self._due_s == NEVER and (self._may_pass or not self._settled):
            self._due_s = self._clock() + self._patience.next()

    def _look(self) -> None:
        waiting = self._heard or (self._refused if self._may_pass else None)
        if waiting is None and self._desired is None:
            waiting = self._held
        if waiting is None:
            self._pursue()
            return
        # What the console said before a medium brought something newer is no attack, late as it is.
        offline = waiting == self._carried or self._only_carried.holds(self._held)
        believe = partial(self._believer.accept, waiting, accepted=self.version, offline=offline)
        self._begin("director", lambda _: believe(), partial(self._judged, waiting))

    def _begin(self, name: str, job: Callable[[Halt], T], then: Callable[..., None]) -> None:
        """Have something looked up; ``then`` is called with what was found."""

        def found(halt: Halt, came: T | LittoralError | None) -> None:
            self._looking = None
            if not halt.said:
                then(came)

        self._looking = self._hands.begin(name, job, found)

    def _judged(self, data: bytes, found: Desired | LittoralError) -> None:
        """Take what was made of the document ``data``."""
        match found:
            case Desired():
                self._believe(data, found)
            case TrustError() | BundleError():
                self._disbelieve(data, found)
            case _:
                self._later(found)
                return
        if self._heard is data:
            self._heard = None
        self._pursue()

    def _believe(self, data: bytes, desired: Desired) -> None:
        if desired.version != self.version:
            self._patience.reset()
        if data == self._carried and data != self._held:
            self._only_carried.put(data)
        self._desired, self._refused, self._may_pass = desired, None, False
        manifests = frozenset(one.manifest_sha256 for one in desired.assignments)
        unnamed = self.named - manifests
        self._keep(data, Outline(version=desired.version, manifests=manifests))
        if unnamed:
            self._life.agenda.also(Do.COLLECT)  # what was ended before is kept while it is named
        log.info("document %d of the director is believed", desired.version)

    def _disbelieve(self, data: bytes, error: LittoralError) -> None:
        self._refusals.document(error, version=self.version)
        self._life.promises.version = self.version
        self._refused, self._why = data, error
        self._may_pass = isinstance(error, SignatureError | ExpiredError)

    def _pursue(self) -> None:
        """Follow what is believed, as far as it is known; have the rest looked up."""
        self._due_s = NEVER if self._heard is None else self._clock()
        if self._desired is None:
            return
        try:
            unknown = self._pursuit.follow(self._desired)
        except (UnreachableError, StorageError) as e:
            self._later(e)
            return
        self._unreached = None
        if unknown:
            choose = partial(self._believer.choose, unknown)
            self._begin("choose", lambda _: choose(), partial(self._chosen, unknown))
        else:
            self._backoff.reset()

    def _chosen(
        self, asked: list[Assignment], found: dict[str, Choice | LittoralError] | LittoralError
    ) -> None:
        """Take what may be run of what was ``asked``; a newer document is looked at first."""
        if isinstance(found, LittoralError):
            self._later(found)
            return
        self._pursuit.learn({one: found[one.model] for one in asked})
        if self._heard is None:
            self._pursue()
        else:
            self._due_s = self._clock()

    def _later(self, error: LittoralError) -> None:
        """Look again after a pause: nobody could be asked, or the disk refused."""
        self._unreached = error
        pause_s = self._backoff.next()
        self._due_s = self._clock() + pause_s
        log.warning("looking again in %.1f s: %s [%s]", pause_s, error, error.code)

    def _foretell(self, data: bytes) -> None:
        """End at once what ``data`` no longer names, if only the time may speak against it.

        Whether it is followed is decided when everybody was asked; going back waits for nobody.
        """
        if not any(held.candidate for held in self._life.journals.values()):
            return
        try:
            desired = self._believer.foretell(data, accepted=self.version)
            self._life.promises.version = desired.version
            self._pursuit.give_up(desired)
        except (TrustError, BundleError, StorageError) as e:
            log.info("nothing is ended by a document that is not believed yet: %s", e)

    def _keep(self, data: bytes, said: Outline) -> None:
        self._held, self._outline = data, said
        self._life.promises.version = said.version
