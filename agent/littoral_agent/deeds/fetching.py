"""FETCH: the candidate's files are brought, if that may begin; what has arrived is kept.

Whoever has them all still waits here for a maintenance window: what comes next is the trial, and
then the switch. Where nothing was proven before, nothing is disturbed by that.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from littoral import durable
from littoral.bundle.manifest import MAX_BYTES, target_path
from littoral.errors import (
    BundleError,
    DeniedError,
    DiskFullError,
    HashError,
    LittoralError,
    PostponedError,
    TrustError,
    UnfitError,
    UnreachableError,
)
from littoral.journal_log import about
from littoral.tree import Tree
from littoral.wire.journal import Choice, Journal
from littoral_agent import fetch, holdings
from littoral_agent.agenda import FartherError
from littoral_agent.control import OrderDeniedError
from littoral_agent.deeds.means import Means, candidate, check_window, postponed
from littoral_agent.download import Limits
from littoral_agent.fetch import Brought
from littoral_agent.halting import Halt
from littoral_agent.sources import Source, Sources
from littoral_agent.update import Event, Outcome
from littoral_agent.ways import arrived

T = TypeVar("T")

log = logging.getLogger(__name__)


def do(means: Means, journal: Journal, halt: Halt) -> Outcome:
    choice, begun = candidate(journal), means.clock()
    before = _arrived(means.tree, choice)
    try:
        came = bring(means, journal.model, choice, halt, patient_until_ms=journal.patient_until_ms)
        if journal.good is not None:
            check_window(means)
    except (TrustError, BundleError, DeniedError, DiskFullError, UnfitError) as e:
        return Outcome(event=Event.REFUSED, code=e.code, detail=str(e))
    except PostponedError as e:
        return postponed(e, now=means.gates.now())
    except UnreachableError as e:
        if _arrived(means.tree, choice) > before:
            raise FartherError(str(e)) from e
        raise
    seconds = round(means.clock() - begun, 3)
    figures = {"bytes": float(came.bytes), "seconds": seconds}
    figures |= {f"files_{kind}": float(count) for kind, count in came.files.items()}
    figures |= {"struck": float(came.struck)} if came.struck else {}
    where = f"from {came.source}" if came.bytes else ""
    return Outcome(event=Event.FETCHED, detail=where, figures=figures)


def bring(
    means: Means,
    model: str,
    choice: Choice,
    halt: Halt,
    *,
    mending: bool = False,
    patient_until_ms: int | None = None,
) -> Brought:
    """Make the manifest and the files of ``choice`` be here; return what came.

    What is brought for ``mending``, because the disk lost it, waits for nothing. Another network
    than a metered one is waited for until ``patient_until_ms``; None: that begins now.
    """
    tree, settings, sources, gates = means.tree, means.settings, means.sources, means.gates
    if sources is None:
        raise UnreachableError("this device is not enrolled; run 'littoral enroll'")
    if holdings.manifest_bytes(tree, choice.manifest) is None:
        _restore(tree, model, choice, sources, halt)
    limits = Limits(
        about=f"{model}:{choice.release}",
        reserve_bytes=settings.disk_reserve_bytes,
        min_rate_bytes_per_s=settings.min_rate_bytes_per_s,
        turns=means.turns,
        room=means.room,
        struck=means.struck,
        encoded=not all(source.offline for source in sources.all),
        usage=None if mending else gates.usage,
        rate=gates.rate,
        errand=means.coming.of(model, choice.manifest),
    )
    files = holdings.files(tree, choice)
    needed = fetch.check_room(files, tree, limits=limits)
    if needed and not mending:
        if not any(source.offline for source in sources.all):
            gates.check_bytes(needed)
        check_window(means)

    def ask(source: Source) -> Brought:
        if needed and not mending and not source.offline:
            gates.check_network(patient_until_ms)
        # A medium's bytes cost nobody anything: they need not be few.
        its = replace(limits, usage=None, encoded=False) if source.offline else limits
        return fetch.bring(files, source, tree, limits=its, halt=halt)

    return sources.first(ask)


def mending(means: Means, model: str, choice: Choice, halt: Halt, *, order: Callable[[], T]) -> T:
    """Give ``order``, and once more if serve denies it and the disk turns out to be why."""
    try:
        return order()
    except OrderDeniedError:
        if not _damaged(means.tree, choice):
            raise
    log.warning(
        "%s: release %s is damaged on the disk; bringing it again",
        *(model, choice.release),
        extra=about(model, release=choice.release, code=HashError.code),
    )
    bring(means, model, choice, halt, mending=True)
    return order()


def _restore(tree: Tree, model: str, choice: Choice, sources: Sources, halt: Halt) -> None:
    """Bring again a manifest that was believed: its sha256 says enough."""
    folder = target_path(model, choice.release).rpartition("/")[0]
    name = f"targets/{folder}/{choice.manifest}.manifest.json"
    data = sources(name, limit=MAX_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != choice.manifest:
        raise HashError(name, signed=choice.manifest, found=found)
    with halt.going():
        durable.replace(tree.manifest(choice.manifest), data, mode=0o640)


def _arrived(tree: Tree, choice: Choice) -> int:
    """Return how much of ``choice`` is here, so that progress can be seen."""
    try:
        return arrived(holdings.files(tree, choice), tree)
    except LittoralError:
        return 0


def _damaged(tree: Tree, choice: Choice) -> bool:
    """Delete what is damaged of ``choice``; return whether anything is not here now."""
    if holdings.manifest_bytes(tree, choice.manifest) is None:
        return True
    files = holdings.files(tree, choice)
    fetch.drop_damaged(files, tree)
    return any(not tree.blob(file.sha256).exists() for file in files)
