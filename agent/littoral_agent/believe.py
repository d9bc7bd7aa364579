"""Turns what the director wants into what this device may run, or says why not.

A document is believed (littoral.trust), kept, and each release that it names is looked up
among what the publisher signed. Whatever loads ``tuf`` and ``cryptography`` happens in here,
and only when there is something to look at: an idle agent never pays for them.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from littoral import durable, journal_log, records
from littoral.bundle.manifest import Manifest, Variant
from littoral.errors import (
    BackendMissingError,
    BehindError,
    BundleError,
    ExpiredError,
    ForgottenError,
    LittoralError,
    MixError,
    RollbackError,
    SignatureError,
    StaleError,
    StorageError,
    UnfitError,
    UnreachableError,
)
from littoral.tree import Tree
from littoral.trust.beliefs import Anchors, Assignment, Desired
from littoral.trust.clock import TrustedClock
from littoral.wire.enrolment import SignedTime
from littoral.wire.journal import Choice
from littoral_agent import holdings
from littoral_agent.carried import Carried
from littoral_agent.identity import Enrolment
from littoral_agent.preflight import Preflight
from littoral_agent.sources import REFUSALS, Source, Sources, most_telling

if TYPE_CHECKING:
    from littoral.trust.client import Client

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


class Believer:
    """What this device believes. One thread at a time; another may ``foretell`` beside it."""

    def __init__(
        self,
        tree: Tree,
        enrolment: Enrolment,
        *,
        sources: Sources,
        clocks: tuple[Callable[[str], bytes], ...],
        clock: TrustedClock,
        hardware: tuple[str, ...],
        preflight: Preflight,
    ) -> None:
        self._tree, self._enrolment, self._clocks = tree, enrolment, clocks
        self._clock, self._hardware, self._preflight = clock, hardware, preflight
        self.sources = sources
        self._only_carried = Carried(tree.carried_timestamp)

    def accept(self, data: bytes, *, accepted: int, offline: bool = False) -> Desired:
        """Return what the director's document ``data`` wants, and keep it.

        ``accepted`` is the version that was believed last, 0 for none; ``offline`` says that the
        document came on a medium.

        Raises:
            StaleError: It came on a medium, and is older than what is known.
            TrustError, MalformedError: It is not believed.
            UnreachableError: A newer root may explain its signature, and cannot be had.
            StorageError: It cannot be kept.

        """
        client = self._client()
        self._ask_time(client)
        try:
            desired = self._accept(data, client, accepted=accepted, now=self._clock.now())
        except (SignatureError, ExpiredError) as e:
            # The director's key may have changed, or the one that spoke of the time: only a newer
            # root can say so.
            outage = self._look_around()
            if isinstance(outage, UnreachableError) and isinstance(e, SignatureError):
                raise outage from None
            if outage is not None:
                raise e from None
            client = self._client()
            self._ask_time(client)
            desired = self._accept(data, client, accepted=accepted, now=self._clock.now())
        except RollbackError as e:
            raise StaleError(str(e)) if offline else e from None
        durable.replace(self._tree.desired, data)
        return desired

    def foretell(self, data: bytes, *, accepted: int) -> Desired:
        """Return what ``data`` wants, asking nobody, and keep nothing: ``accept`` may yet refuse.

        Raises:
            TrustError, BundleError: It is not believed, or not without asking.

        """
        return self._accept(data, self._client(), accepted=accepted, now=self._clock.now())

    def choose(self, assignments: Collection[Assignment]) -> dict[str, Choice | LittoralError]:
        """Return, by model, what may be run, or why it may not.

        UnreachableError is no verdict: the repository does not answer, and what is held of it
        does not name the release.

        Raises:
            StorageError: The disk refuses.

        """
        chosen: dict[str, Choice] = {}
        refused: dict[str, list[LittoralError]] = {one.model: [] for one in assignments}
        for source in self.sources.all:
            open_ = [one for one in assignments if one.model not in chosen]
            if not open_:
                break
            for model, found in self._choose_from(source, open_).items():
                if isinstance(found, Choice):
                    chosen[model] = found
                else:
                    refused[model].append(found)
        return {model: chosen.get(model) or most_telling(refused[model]) for model in refused}

    def from_disk(self, model: str) -> Choice | None:
        """Return what the kept document names for ``model``, if it was believed and is still here.

        For a model whose journal was lost: without network, and without asking whether its time
        is over, which gates what is new and not what was proven here before.
        """
        try:
            data = self._tree.desired.read_bytes()
            desired = self._accept(data, self._client(), accepted=0, now=_EPOCH)
            for one in desired.assignments:
                if one.model == model:
                    return self._held(one)
        except (OSError, LittoralError) as e:
            log.warning(
                "%s: what is on the disk does not say what it was: %s",
                *(model, e),
                extra=journal_log.about(model),
            )
        return None

    def _choose_from(
        self, source: Source, assignments: Collection[Assignment]
    ) -> dict[str, Choice | LittoralError]:
        """Return what ``source`` alone makes of ``assignments``."""
        try:
            client = self._client(source)
            outage = self._refresh(client, source)
        except (*REFUSALS, UnreachableError) as e:
            return dict.fromkeys((one.model for one in assignments), _later(e, source))
        chosen: dict[str, Choice | LittoralError] = {}
        for one in assignments:
            try:
                chosen[one.model] = self._choose(one, client, source)
            except (UnfitError, BackendMissingError) as e:
                chosen[one.model] = e
            except (*REFUSALS, UnreachableError) as e:
                chosen[one.model] = outage or _later(e, source)
        return chosen

    def _choose(self, one: Assignment, client: "Client", source: Source) -> Choice:
        from littoral.trust.director import accept_manifest, agree

        found = client.lookup(one.path)
        target = found[0] if found else None
        if target is None and _is_copy(source):
            raise BehindError(f"{one.path}: {source} does not name it yet")
        floor = client.floor(one.model)
        agree(one, target=target, floor=floor, hardware=self._hardware)
        assert target is not None  # noqa: S101 (agree said so)
        held = holdings.manifest_bytes(self._tree, one.manifest_sha256)
        data = held or source(client.remote_name(target), limit=one.length)
        manifest = accept_manifest(
            data, assignment=one, target=target, floor=floor, hardware=self._hardware
        )
        if held is None:
            durable.replace(self._tree.manifest(one.manifest_sha256), data, mode=0o640)
        variants, unheard = _variants(one, manifest), self.sources.held_out
        return _choice(one, self._preflight.choose(variants, unheard=unheard))

    def _held(self, one: Assignment) -> Choice:
        """Return the variant of ``one`` whose files are here, else the one that is preferred."""
        manifest = holdings.manifest(self._tree, one.manifest_sha256)
        variants = _variants(one, manifest)
        for variant in variants:
            files = manifest.files_for(variant).values()
            if all(self._tree.blob(file.sha256).exists() for file in files):
                return _choice(one, variant)
        return _choice(one, variants[0])

    def _refresh(self, client: "Client", source: Source) -> LittoralError | None:
        """Believe what is new, or what is held; return why the latter."""
        outage: LittoralError | None = None
        before = self._timestamp()
        try:
            client.refresh()
        except UnreachableError as e:
            outage = e
        except RollbackError as e:
            # Media and copies are older as a whole, and so is the console after a medium; one in
            # which parts went back lies.
            if e.what != "timestamp" or not (source.lags or self._only_carried.holds(before)):
                raise
            # It may hold the files all the same.
            outage = BehindError(f"{source}: {e}") if _is_copy(source) else StaleError(str(e))
        finally:
            self._take_note(before, self._timestamp(), lags=source.lags)
        if outage is not None:
            log.info("believing what is held: %s", outage)
            try:
                client.recall()
            except UnreachableError as e:
                raise UnreachableError(f"{outage}; {e}") from None
        # A board without a clock learns from what was signed how late it is at least.
        for keyid, when in client.issued().items():
            self._clock.raise_floor(when, keyid)
        return outage

    def _timestamp(self) -> bytes | None:
        path = self._tree.metadata / "timestamp.json"
        try:
            with durable.storage_errors(path):
                return path.read_bytes() if path.exists() else None
        except StorageError as e:
            log.warning("%s [%s]", e, e.code)
            return None

    def _take_note(self, before: bytes | None, after: bytes | None, *, lags: bool) -> None:
        """Remember it, if the timestamp that is held now came from whoever ``lags``."""
        if lags and after is not None and after != before:
            self._only_carried.put(after)

    def _look_around(self) -> LittoralError | None:
        """Believe what is newer wherever it is; return None if anybody knew, else why not."""
        errors: list[LittoralError] = []
        for source in self.sources.all:
            client = self._client(source)
            held = client.root.version
            try:
                client.refresh()
            except (*REFUSALS, UnreachableError) as e:
                # A newer root is news, though a clock that it may set right believes no more of it.
                if client.root.version == held:
                    errors.append(e)
        return most_telling(errors) if len(errors) == len(self.sources.all) else None

    def _client(self, source: Source | None = None) -> "Client":
        from littoral.trust.client import Client

        return Client(self._tree.metadata, source or self.sources, now=self._clock.under)

    def _accept(self, data: bytes, client: "Client", *, accepted: int, now: datetime) -> Desired:
        from littoral.trust.rules import accept_director, anchors

        named = anchors(client.root)
        return accept_director(
            data,
            anchors=named,
            device=self._enrolment.device,
            incarnation=self._enrolment.incarnation,
            accepted=accepted if self._stands(named) else 0,
            now=now,
        )

    def _stands(self, named: Anchors) -> bool:
        """Whether root still names whoever signed the document that is kept."""
        from littoral.trust.director import vouched

        try:
            return vouched(self._tree.desired.read_bytes(), anchors=named)
        except (OSError, BundleError):
            return True

    def _ask_time(self, client: "Client") -> None:
        """Ask the console what time it is. Without an answer the clock is what it was."""
        for ask in self._clocks:
            try:
                self._learn_time(ask, client)
            except (LittoralError, records.RecordError) as e:
                log.info("no signed time: %s", e)
            else:
                return

    def _learn_time(self, ask: Callable[[str], bytes], client: "Client") -> None:
        from littoral.trust.rules import anchors

        nonce = secrets.token_hex(16)
        begun = time.monotonic()
        answer = records.from_json(SignedTime, ask(nonce), limit=4096)
        rtt_s = time.monotonic() - begun
        self._clock.answer(answer, nonce, rtt_s=rtt_s, anchors=anchors(client.root))


def _is_copy(source: Source) -> bool:
    """Whether somebody keeps it up to date, by and by: what it has not yet is looked for again."""
    return source.lags and not source.offline


def _later(error: LittoralError, source: Source) -> LittoralError:
    """Return what ``error`` of ``source`` means: half of an update may lie on a copy."""
    if isinstance(error, ForgottenError) and _is_copy(source):
        return BehindError(f"{source}: {error}")
    return error


def _variants(one: Assignment, manifest: Manifest) -> tuple[Variant, ...]:
    found = manifest.variants_for(one.hardware)
    if not found:
        raise MixError(f"{one.path}: no variant of it is for {one.hardware}")
    return found


def _choice(one: Assignment, variant: Variant) -> Choice:
    return Choice(
        manifest=one.manifest_sha256,
        release=one.release,
        variant=variant.id,
        hardware=one.hardware,
        attempt=one.attempt,
    )
