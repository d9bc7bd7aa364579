"""What the table in update.py asks for: fetch, try, run, watch, stop, collect.

Each deed can be done twice. It returns the event that came of it, None if it is simply done;
UnreachableError and StorageError mean that it must be done again, later. Nothing here
changes a journal.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from littoral import durable
from littoral.bundle.manifest import MAX_BYTES, target_path
from littoral.errors import (
    BackendMissingError,
    BundleError,
    CrashError,
    DeniedError,
    DiskFullError,
    HashError,
    LatencyError,
    LittoralError,
    MalformedError,
    OutputsError,
    TrialError,
    TrustError,
    UnhealthyError,
    UnreachableError,
    UnsupportedFormatError,
)
from littoral.journal_log import about
from littoral.tree import Tree
from littoral.wire.control import Activate, Loaded, Serving, Tried, Try
from littoral.wire.journal import Choice, Journal
from littoral_agent import fetch, holdings
from littoral_agent.control import Control, OrderDeniedError, ServeDownError
from littoral_agent.origin import Repository
from littoral_agent.probation import (
    Outcome,
    Seen,
    judge,
    measured_p95_us,
    p95_us,
    verdict,
)
from littoral_agent.settings import Settings
from littoral_agent.update import Event

# This machine cannot run it; another one can, or this one after it was set right.
_NOT_HERE: Final = frozenset(
    kind.code for kind in (BackendMissingError, DiskFullError, UnsupportedFormatError)
)
_ITS_OWN: Final = frozenset(
    kind.code
    for kind in (TrialError, OutputsError, LatencyError, CrashError, UnhealthyError, MalformedError)
)

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watch:
    """What is remembered while a candidate is watched, and may be forgotten."""

    manifest: str
    instance: str  # of serve: another one means that it died
    looked_s: float
    probe: Tried | None = None
    probed_late: bool = False


class Deeds:
    """Does things, on the disk and by asking serve. One thread at a time.

    ``between`` is called while files arrive; what it raises ends the download.
    """

    def __init__(
        self,
        tree: Tree,
        settings: Settings,
        *,
        control: Control,
        repository: Repository | None,
        between: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tree, self._settings, self._control = tree, settings, control
        self._repository, self._between, self._clock = repository, between, clock
        self._watches: dict[str, _Watch] = {}

    def fetch(self, journal: Journal) -> Outcome:
        """Bring the candidate's files."""
        begun = self._clock()
        try:
            came = self._bring(journal.model, _candidate(journal))
        except (TrustError, BundleError, DeniedError, DiskFullError) as e:
            return Outcome(event=Event.REFUSED, code=e.code, detail=str(e))
        seconds = self._clock() - begun
        return Outcome(
            event=Event.FETCHED, figures={"bytes": float(came), "seconds": round(seconds, 3)}
        )

    def arrived(self, journal: Journal) -> int:
        """Return how much of the candidate is here, so that progress can be seen."""
        try:
            return fetch.arrived(holdings.files(self._tree, _candidate(journal)), self._tree)
        except LittoralError:
            return 0

    def try_(self, journal: Journal) -> Outcome:
        """Let serve run the candidate's self-test in a child."""
        choice = _candidate(journal)
        order = Try(
            model=journal.model,
            manifest=choice.manifest,
            variant=choice.variant,
            hardware=choice.hardware,
            deadline_s=self._settings.trial_deadline_s,
        )
        before = self._control.state()
        try:
            tried = self._mending(journal.model, choice, lambda: self._control.try_(order))
        except ServeDownError:
            return _died("during the self-test")
        except OrderDeniedError as e:
            return _denied(e)
        except (TrustError, BundleError, DeniedError, DiskFullError) as e:
            return Outcome(event=Event.REFUSED, code=e.code, detail=str(e))
        found = verdict(tried)
        serves = _loaded(before, journal.model)
        if found.event is not Event.PASSED or serves is None:
            return found
        return Outcome(
            event=found.event,
            detail=found.detail,
            figures=found.figures,
            before_p95_us=measured_p95_us(serves, self._settings),
        )

    def run(self, journal: Journal, *, left: str | None = None) -> Outcome | None:
        """Let serve run what the journal says runs.

        Where it says that nothing does, what serves stops if the model was removed, or if it is
        quarantined or was ``left``; else it stays, for the journal may be younger than it.
        """
        state = self._control.state()
        serves, wanted = _loaded(state, journal.model), journal.running
        if wanted is None:
            bad = {left, *journal.quarantine}
            if serves is not None and (journal.stopped or serves.manifest in bad):
                self._control.deactivate(journal.model)
            return None
        if serves is not None and (serves.manifest, serves.variant) == (
            wanted.manifest,
            wanted.variant,
        ):
            return None
        order = Activate(model=journal.model, manifest=wanted.manifest, variant=wanted.variant)
        try:
            done = self._mending(journal.model, wanted, lambda: self._control.activate(order))
        except (ServeDownError, OrderDeniedError) as e:
            if wanted is not journal.candidate:
                raise
            return _denied(e) if isinstance(e, OrderDeniedError) else _died("while it loaded")
        log.info(
            "%s: release %s serves, loaded in %.0f ms",
            *(order.model, done.release, done.load_ms),
            extra=about(order.model, release=done.release),
        )
        return None

    def watch(self, journal: Journal) -> tuple[Outcome | None, float]:
        """Look at the candidate on probation; return what is known, and for how long it ran."""
        choice, state, now = _candidate(journal), self._control.state(), self._clock()
        watch = self._watches.get(journal.model)
        if watch is None or watch.manifest != choice.manifest:
            watch = _Watch(choice.manifest, state.instance, now)
            self._watches[journal.model] = watch
        if watch.instance != state.instance:
            del self._watches[journal.model]
            return _died("while the candidate served"), 0.0
        serves = _loaded(state, journal.model)
        if serves is None or serves.manifest != choice.manifest:
            return self.run(journal), 0.0
        passed, watch.looked_s = now - watch.looked_s, now
        watched_s = journal.watched_s + passed
        try:
            found = self._judge(serves, watch, watched_s, journal.before_p95_us)
        except OrderDeniedError as e:
            found = _denied(e)
        if found is not None:
            del self._watches[journal.model]
        return found, passed

    def stop(self, journal: Journal) -> None:
        """Let nothing serve under the model's name."""
        if _loaded(self._control.state(), journal.model) is not None:
            self._control.deactivate(journal.model)

    def _judge(
        self, serves: Loaded, watch: _Watch, watched_s: float, before_p95_us: float | None
    ) -> Outcome | None:
        over = watched_s >= self._settings.probation_s
        idle = serves.requests < self._settings.probation_requests
        if watch.probe is None or (over and idle and not watch.probed_late):
            watch.probe = self._control.probe(serves.model, self._settings.trial_deadline_s)
            watch.probed_late = over
        seen = Seen(
            watched_s=watched_s,
            requests=serves.requests,
            errors=serves.errors,
            p95_us=p95_us(serves),
            before_p95_us=before_p95_us,
            probe=watch.probe,
        )
        return judge(seen, self._settings)

    def _bring(self, model: str, choice: Choice) -> int:
        """Make the manifest and the files of ``choice`` be here; return how many bytes came."""
        if self._repository is None:
            raise UnreachableError("this device is not enrolled; run 'littoral enroll'")
        if holdings.manifest_bytes(self._tree, choice.manifest) is None:
            self._restore(model, choice, self._repository)
        limits = fetch.Limits(
            reserve_bytes=self._settings.disk_reserve_bytes,
            min_rate_bytes_per_s=self._settings.min_rate_bytes_per_s,
        )
        files = holdings.files(self._tree, choice)
        return fetch.bring(
            files, self._repository, self._tree, limits=limits, between=self._between
        )

    def _restore(self, model: str, choice: Choice, repository: Repository) -> None:
        """Bring again a manifest that was believed: its sha256 says enough."""
        folder = target_path(model, choice.release).rpartition("/")[0]
        name = f"targets/{folder}/{choice.manifest}.manifest.json"
        data = repository(name, limit=MAX_BYTES)
        found = hashlib.sha256(data).hexdigest()
        if found != choice.manifest:
            raise HashError(name, signed=choice.manifest, found=found)
        durable.replace(self._tree.manifest(choice.manifest), data, mode=0o640)

    def _mending(self, model: str, choice: Choice, order: Callable[[], T]) -> T:
        """Give ``order``, and once more if serve denies it and the disk turns out to be why."""
        try:
            return order()
        except OrderDeniedError:
            if not self._damaged(choice):
                raise
        log.warning(
            "%s: release %s is damaged on the disk; bringing it again",
            *(model, choice.release),
            extra=about(model, release=choice.release, code=HashError.code),
        )
        self._bring(model, choice)
        return order()

    def _damaged(self, choice: Choice) -> bool:
        """Delete what is damaged of ``choice``; return whether anything is not here now."""
        if holdings.manifest_bytes(self._tree, choice.manifest) is None:
            return True
        files = holdings.files(self._tree, choice)
        fetch.drop_damaged(files, self._tree)
        return any(not self._tree.blob(file.sha256).exists() for file in files)


def _candidate(journal: Journal) -> Choice:
    if journal.candidate is None:
        raise ValueError(f"{journal.model}: there is no candidate while {journal.state}")
    return journal.candidate


def _loaded(state: Serving, model: str) -> Loaded | None:
    return next((one for one in state.models if one.model == model), None)


def _denied(error: OrderDeniedError) -> Outcome:
    """Return what serve's no says of the candidate."""
    if error.reason in _NOT_HERE:
        event = Event.REFUSED
    else:
        event = Event.FAILED if error.reason in _ITS_OWN else Event.STUMBLED
    return Outcome(event=event, code=error.reason, detail=str(error))


def _died(when: str) -> Outcome:
    """Return that serve ended: perhaps by the candidate's fault, perhaps not."""
    return Outcome(event=Event.STUMBLED, code=CrashError.code, detail=f"serve ended {when}")
