"""The device's side of the image repository: asks, applies the rules, keeps what is believed.

It decides nothing: littoral.trust.rules does. Every file in its folder is believed metadata,
byte for byte as it arrived, replaced durably, and verified again whenever it is read. It
knows neither where the repository is (``fetch``) nor what time it is (``now``).
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from tuf.api.metadata import Root, Snapshot, TargetFile, Targets, Timestamp

from littoral import durable
from littoral.bundle.manifest import target_path
from littoral.errors import (
    BundleError,
    ExpiredError,
    ForgottenError,
    HashError,
    TrustError,
    UnreachableError,
)
from littoral.trust import rules
from littoral.trust.metadata import CAPS, check_bytes, parse, verify
from littoral.trust.rules import Believed

S = TypeVar("S", Timestamp, Snapshot)


class Fetch(Protocol):
    """One way to a repository: HTTPS, the broker, a folder."""

    def __call__(self, name: str, *, limit: int) -> bytes:
        """Return the file ``name``, relative to the repository, as ``metadata/timestamp.json``.

        Raises:
            ForgottenError: The repository does not hold it.
            EndlessError: It is longer than ``limit`` bytes.
            UnreachableError: Nobody answers.

        """


def bootstrap(folder: Path, root: bytes, *, sha256: str | None = None) -> None:
    """Hold ``root`` as the anchor of all trust, unless one is held: that one is never replaced.

    Raises:
        HashError: It is not the one whose ``sha256`` was handed over.
        SignatureError, MalformedError: It does not agree with itself.

    """
    found = hashlib.sha256(root).hexdigest()
    if sha256 is not None and found != sha256:
        raise HashError("root", signed=sha256, found=found)
    rules.held_root(root)
    path = folder / "root.json"
    if not path.exists():
        durable.make_folder(folder, mode=0o700)
        durable.replace(path, root)


class Client:
    """Believed metadata in ``folder``, and how to come by newer. Not safe to share between threads.

    ``now`` is the time by which expiry is judged; where it is a function, it is asked after the
    last root is known, so that a clock can first forget what a revoked key claimed.
    """

    def __init__(
        self, folder: Path, fetch: Fetch, *, now: datetime | Callable[[Root], datetime]
    ) -> None:
        held = _read(folder / "root.json")
        if held is None:
            raise TrustError(f"{folder}: no root is held; enrol the device first")
        durable.sweep(folder)
        self._folder, self._fetch, self._clock = folder, fetch, now
        self._root = rules.held_root(held)
        self._now: datetime | None = None
        self._timestamp: Believed[Timestamp] | None = None
        self._snapshot: Believed[Snapshot] | None = None
        self._targets: dict[tuple[str, str], Believed[Targets]] = {}

    @property
    def root(self) -> Root:
        return self._root.signed

    def refresh(self) -> None:
        """Bring the top level up to date; on any error, what is held stays as it was.

        Raises:
            TrustError: What arrived is refused; the kind says why.
            MalformedError: What arrived cannot be read.
            UnreachableError: Nobody answers; ``recall`` may do.

        """
        self._begin()
        self._walk_roots()
        now = self._time()
        self._refresh_timestamp(now)
        self._refresh_snapshot(now)
        self._ask("targets", self.root, "root")

    def recall(self) -> None:
        """Believe what is held, without asking anyone. Expiry is judged as ever.

        Raises:
            UnreachableError: Too little is held.
            TrustError: It is held, and its time is over.

        """
        self._begin()
        now = self._time()
        timestamp, snapshot = self._held(Timestamp), self._held(Snapshot)
        if timestamp is None or snapshot is None or not _names(timestamp.signed, snapshot):
            raise UnreachableError("the repository was never read whole; it must be reached once")
        rules.fresh(timestamp.signed, "timestamp", now=now)
        rules.fresh(snapshot.signed, "snapshot", now=now)
        self._timestamp, self._snapshot = timestamp, snapshot

    def lookup(self, path: str) -> tuple[TargetFile, str] | None:
        """Return what is signed about the target ``path``, and by which role; None if nothing.

        Raises:
            ValueError: Neither ``refresh`` nor ``recall`` went well before.
            TrustError, MalformedError, UnreachableError: As ``refresh``.

        """
        for role, targets in self._responsible(path):
            found = targets.targets.get(path)
            if found is not None:
                return found, role
        return None

    def floor(self, model: str) -> int:
        """Return the highest floor that a role responsible for ``model`` states, 0 if none does."""
        responsible = self._responsible(target_path(model, 1))
        return max(rules.floor(targets, model) for _, targets in responsible)

    def issued(self) -> dict[str, datetime]:
        """Return when the top level was signed, by key id: floors for a clock."""
        found: dict[str, datetime] = {}
        for believed in (self._root, self._timestamp, self._snapshot):
            when = rules.issued(believed.signed) if believed else None
            if believed is not None and when is not None:
                found |= {k: max(when, found.get(k, when)) for k in believed.keyids}
        return found

    def remote_name(self, target: TargetFile) -> str:
        """Return the name by which ``fetch`` finds ``target``."""
        folder, slash, name = target.path.rpartition("/")
        if self.root.consistent_snapshot:
            name = f"{next(iter(target.hashes.values()))}.{name}"
        return f"targets/{folder}{slash}{name}"

    def _begin(self) -> None:
        self._timestamp = self._snapshot = self._now = None
        self._targets.clear()

    def _time(self) -> datetime:
        self._now = self._clock(self.root) if callable(self._clock) else self._clock
        rules.fresh(self.root, "root", now=self._now)
        return self._now

    def _walk_roots(self) -> None:
        for _ in range(rules.MAX_ROOTS):
            name = f"metadata/{self.root.version + 1}.root.json"
            try:
                data = self._fetch(name, limit=rules.limit(Root, "root"))
            except ForgottenError:
                return
            new = rules.next_root(data, held=self.root)
            # What the new root forgets goes first: cut off in between, the old root forgets it.
            if rules.forgets(new.signed, old=self.root):
                durable.remove(self._path("timestamp"))
                durable.remove(self._path("snapshot"))
            durable.replace(self._path("root"), data)
            self._root = new

    def _refresh_timestamp(self, now: datetime) -> None:
        held = self._held(Timestamp)
        data = self._fetch("metadata/timestamp.json", limit=rules.limit(Timestamp, "timestamp"))
        new = rules.accept_timestamp(data, root=self.root, held=held, now=now)
        if new is not held:
            durable.replace(self._path("timestamp"), new.data)
        self._timestamp = new

    def _refresh_snapshot(self, now: datetime) -> None:
        assert self._timestamp is not None  # noqa: S101 (for the type checker)
        timestamp, held = self._timestamp.signed, self._held(Snapshot)
        if held is not None and _names(timestamp, held):
            rules.fresh(held.signed, "snapshot", now=now)
            self._snapshot = held
            return
        named = timestamp.snapshot_meta
        data = self._fetch(
            self._versioned("snapshot", named.version),
            limit=rules.limit(Snapshot, "snapshot", named=named),
        )
        new = rules.accept_snapshot(data, root=self.root, timestamp=timestamp, held=held, now=now)
        durable.replace(self._path("snapshot"), data)
        self._snapshot = new

    def _responsible(self, path: str) -> Iterator[tuple[str, Targets]]:
        """Walk the roles that may speak of ``path``: depth first, each once, not for ever."""
        todo: list[tuple[str, Root | Targets, str]] = [("targets", self.root, "root")]
        seen: set[str] = set()
        while todo and len(seen) <= rules.MAX_DELEGATIONS:
            role, delegator, name = todo.pop()
            if role in seen:
                continue
            seen.add(role)
            targets = self._ask(role, delegator, name)
            yield role, targets
            below, terminating = rules.delegates(targets, path)
            if terminating:
                todo.clear()
            todo.extend((child, targets, role) for child in reversed(below))

    def _ask(self, role: str, delegator: Root | Targets, name: str) -> Targets:
        """Return the targets of ``role``, whom ``delegator`` (called ``name``) trusts."""
        if self._snapshot is None or self._now is None:
            raise ValueError("refresh() or recall() first")
        if (found := self._targets.get((name, role))) is None:
            found = self._load(role, delegator, snapshot=self._snapshot.signed, now=self._now)
            self._targets[name, role] = found
        return found.signed

    def _load(
        self, role: str, delegator: Root | Targets, *, snapshot: Snapshot, now: datetime
    ) -> Believed[Targets]:
        held = _read(self._path(role))
        if held is not None:
            try:
                return rules.accept_targets(
                    held, role=role, delegator=delegator, snapshot=snapshot, now=now
                )
            except ExpiredError:
                raise  # all else about it is right: the repository has the same one
            except (TrustError, BundleError):
                pass  # an older one, or another delegator's: the repository has the right one
        named = rules.named_by(snapshot, role)
        data = self._fetch(
            self._versioned(role, named.version), limit=rules.limit(Targets, role, named=named)
        )
        new = rules.accept_targets(data, role=role, delegator=delegator, snapshot=snapshot, now=now)
        durable.replace(self._path(role), data)
        return new

    def _held(self, cls: type[S]) -> Believed[S] | None:
        """Return what is held of a top-level role, None if root does not trust its signers."""
        data = _read(self._path(cls.type))
        if data is None:
            return None
        try:
            metadata = parse(cls, data, cls.type)
            return Believed(metadata.signed, data, verify(self.root, cls.type, metadata))
        except (TrustError, BundleError):
            return None

    def _path(self, role: str) -> Path:
        return self._folder / f"{quote(role, safe='')}.json"

    def _versioned(self, role: str, version: int) -> str:
        name = f"{quote(role, safe='')}.json"
        return f"metadata/{version}.{name}" if self.root.consistent_snapshot else f"metadata/{name}"


def _names(timestamp: Timestamp, held: Believed[Snapshot]) -> bool:
    named = timestamp.snapshot_meta
    if held.signed.version != named.version:
        return False
    try:
        check_bytes("snapshot", held.data, named=named)
    except TrustError:
        return False
    return True


def _read(path: Path) -> bytes | None:
    """Return what ``path`` holds, None if it is not there."""
    with durable.storage_errors(path):
        try:
            with path.open("rb") as file:
                return file.read(max(CAPS.values()) + 1)
        except FileNotFoundError:
            return None
