"""How a repository stands: who signs what, when it ends, and whether all of it holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from littoral.bundle.manifest import File
from littoral.errors import MixError
from littoral.trust import rules
from littoral.trust.drafts import called
from littoral.trust.metadata import check_bytes
from littoral.trust.proving import absent, prove
from littoral.trust.repository import Repository, read, releases
from littoral.trust.rotation import ONLINE

Urgency = Literal["fine", "soon", "over"]

SOON: Final = timedelta(days=60)  # people have to meet, or to travel
SOON_ROOT: Final = timedelta(days=120)
SOON_ONLINE: Final = timedelta(days=9)  # a console signs them daily, for 14 days


def urgency(what: str, left: timedelta) -> Urgency:
    """Return whether somebody has to act on what ends in ``left``: a role or a certificate."""
    if left <= timedelta(0):
        return "over"
    soon = SOON_ONLINE if what in ONLINE else SOON_ROOT if what == Root.type else SOON
    return "soon" if left < soon else "fine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One role as it stands in the repository."""

    role: str
    version: int
    expires: datetime
    days_left: float
    threshold: int
    keyids: tuple[str, ...]
    owners: tuple[str, ...]  # of the keys, as people call them
    urgency: Urgency
    releases: tuple[int, ...] = ()


def status(folder: Path, *, now: datetime) -> tuple[Row, ...]:
    """Return every role that is here, root first; expired ones too."""
    return rows(Repository(folder), now=now)


def rows(repository: Repository, *, now: datetime) -> tuple[Row, ...]:
    """Return every role of ``repository``, root first; expired ones too."""
    root = repository.root()
    found = [_row(Root.type, root, root, now=now)]
    targets = repository.targets(root).signed
    found.append(_row(Targets.type, targets, root, now=now))
    for model, metadata in repository.models(targets).items():
        found.append(_row(model, metadata.signed, targets, now=now))
    if (snapshot := repository.newest(Snapshot, Snapshot.type)) is not None:
        found.append(_row(Snapshot.type, snapshot.signed, root, now=now))
    if (timestamp := repository.newest(Timestamp, Timestamp.type)) is not None:
        found.append(_row(Timestamp.type, timestamp.signed, root, now=now))
    return tuple(found)


def verify(folder: Path, *, now: datetime) -> tuple[Row, ...]:
    """Check every signature, version, expiry, manifest and file that a device could come to ask.

    Encodings that are here are decoded; that one is not here is no fault (``missing``).

    Raises:
        TrustError, MalformedError: The first thing that does not hold.

    """
    repository = Repository(folder)
    root = repository.root()
    rules.fresh(root, Root.type, now=now)
    targets = repository.targets(root).signed
    roles = {Targets.type: targets}
    roles |= {model: m.signed for model, m in repository.models(targets).items()}
    for role, signed in roles.items():
        rules.fresh(signed, role, now=now)
    _check_online(repository, root, roles=roles, now=now)
    for file in _files(repository, roles):
        prove(repository, file)
    return status(folder, now=now)


def missing(folder: Path) -> int:
    """Return how many encodings are named and not here: devices take larger ones instead."""
    repository = Repository(folder)
    roles = repository.models(repository.targets(repository.root()).signed)
    named = _files(repository, {role: found.signed for role, found in roles.items()})
    return len({one.sha256 for file in named for one in absent(repository, file)})


def _row(
    role: str, signed: Root | Targets | Snapshot | Timestamp, by: Root | Targets, *, now: datetime
) -> Row:
    allowed = by.get_delegated_role(role)
    keys = by.keys if isinstance(by, Root) else by.delegations.keys if by.delegations else {}
    return Row(
        role=role,
        version=signed.version,
        expires=signed.expires,
        days_left=round((signed.expires - now).total_seconds() / 86400, 1),
        threshold=allowed.threshold,
        keyids=tuple(allowed.keyids),
        owners=tuple(called(keys[keyid]) for keyid in allowed.keyids),
        urgency=urgency(role, signed.expires - now),
        releases=tuple(sorted(releases(signed, role))) if isinstance(signed, Targets) else (),
    )


def _check_online(
    repository: Repository, root: Root, *, roles: dict[str, Targets], now: datetime
) -> None:
    """Check timestamp and snapshot, where the console has signed any."""
    path = repository.path(Timestamp.type, 0)
    if not path.exists():
        return
    timestamp = rules.accept_timestamp(path.read_bytes(), root=root, held=None, now=now).signed
    data = read(repository.path(Snapshot.type, timestamp.snapshot_meta.version))
    snapshot = rules.accept_snapshot(data, root=root, timestamp=timestamp, held=None, now=now)
    for role, signed in roles.items():
        named = rules.named_by(snapshot.signed, role)
        if named.version != signed.version:
            raise MixError(
                f"{role}: version {signed.version} is here, the snapshot names {named.version}; "
                "run: littoral repo renew"
            )
        check_bytes(role, read(repository.path(role, named.version)), named=named)


def _files(repository: Repository, roles: dict[str, Targets]) -> Iterator[File]:
    """Walk the files that manifests name, each once in all its encodings."""
    seen = set()
    for model, signed in roles.items():
        for target in signed.targets.values():
            for file in repository.read_manifest(model, target).files.values():
                if file not in seen:
                    seen.add(file)
                    yield file
