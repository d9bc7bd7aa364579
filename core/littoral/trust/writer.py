"""Signs: what a publisher does with offline keys, and a console with online ones.

Each deed writes what it names first and the metadata that names it last, so that a kill in
between leaves a repository that holds, and the deed can be done again. Versions are counted
from what lies in the folder, never from a memory that a backup could turn back.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from securesystemslib.signer import Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from littoral import durable
from littoral.errors import MisuseError
from littoral.trust import rules
from littoral.trust.beliefs import Assignment
from littoral.trust.founding import init
from littoral.trust.keyfiles import held, load_signer
from littoral.trust.keys import new_key
from littoral.trust.publishing import Published, check_model, publish
from littoral.trust.repository import Repository, snapshot_meta
from littoral.trust.rotation import Rotated, extend, raise_floor, rotate
from littoral.trust.signing import TARGETS_LIFE, find_signers, write
from littoral.trust.survey import Row, status, verify

ONLINE_LIFE: Final = timedelta(days=14)  # of snapshot and timestamp
DIRECTOR_LIFE: Final = timedelta(days=14)
KEEP_SNAPSHOTS: Final = 8

__all__ = [
    "Published",
    "Rotated",
    "Row",
    "delegate",
    "director",
    "extend",
    "init",
    "publish",
    "raise_floor",
    "renew",
    "rotate",
    "status",
    "verify",
]


def delegate(folder: Path, model: str, *, offline: Path, now: datetime | None = None) -> str:
    """Trust ``<model>-1``, made if it is not there, with ``model``'s releases; return its key id.

    Raises:
        MisuseError: Somebody is trusted with them.

    """
    repository, now = Repository(folder), now or datetime.now(UTC)
    check_model(model)
    root = repository.root()
    targets = repository.targets(root)
    delegations = targets.signed.delegations or Delegations({}, roles={})
    roles = delegations.roles
    if roles is None or model in roles:
        raise MisuseError(f"{model}: delegated already")
    by = find_signers(root.roles[Targets.type], offline, Targets.type)
    path = held(offline, f"{model}-1") or offline / f"{model}-1.pem"
    if not path.exists():
        new_key(path)
    signer = load_signer(path)
    key = signer.public_key
    if repository.newest(Targets, model) is None:
        fresh = Targets(version=1, expires=now + TARGETS_LIFE)
        fresh.unrecognized_fields[rules.FLOORS] = {model: 0}
        write(repository, model, Metadata(fresh), signers=[signer], now=now)
    roles[model] = DelegatedRole(
        model, [key.keyid], 1, terminating=True, paths=[f"bundles/{model}/*/*"]
    )
    delegations.keys[key.keyid] = key
    targets.signed.delegations = delegations
    targets.signed.version += 1
    targets.signed.expires = now + TARGETS_LIFE
    write(repository, Targets.type, targets, signers=by, now=now)
    return key.keyid


def renew(
    folder: Path,
    *,
    online: Path,
    now: datetime | None = None,
    least: int = 1,
    life: timedelta = ONLINE_LIFE,
) -> tuple[int, int]:
    """Sign a snapshot and a timestamp of what is in ``folder``; return their versions.

    They are ``least`` or greater: a console says the time, in seconds since 1970, so that a
    folder that came back from a backup does not go behind what devices have seen.
    """
    repository, now = Repository(folder), now or datetime.now(UTC)
    root = repository.root()
    by = find_online(root, online)
    targets = repository.targets(root).signed
    roles = {Targets.type: targets}
    roles |= {model: m.signed for model, m in repository.models(targets).items()}
    versions = repository.versions().get(Snapshot.type, [])
    snapshot = Snapshot(
        version=max(max(versions, default=0) + 1, least),
        expires=now + life,
        meta=snapshot_meta(repository, roles),
    )
    data = write(repository, Snapshot.type, Metadata(snapshot), signers=by[0], now=now)
    before = repository.newest(Timestamp, Timestamp.type)
    timestamp = Timestamp(
        version=max((before.signed.version if before else 0) + 1, least),
        expires=now + life,
        snapshot_meta=MetaFile(
            snapshot.version, length=len(data), hashes={"sha256": hashlib.sha256(data).hexdigest()}
        ),
    )
    write(repository, Timestamp.type, Metadata(timestamp), signers=by[1], now=now)
    for version in versions[: -KEEP_SNAPSHOTS + 1]:
        durable.remove(repository.path(Snapshot.type, version))
    return snapshot.version, timestamp.version


def find_online(root: Root, online: Path) -> tuple[list[Signer], list[Signer]]:
    """Return the keys in ``online`` that sign snapshot, and those that sign timestamp.

    Raises:
        MisuseError: They are fewer than must sign.

    """
    return (
        find_signers(root.roles[Snapshot.type], online, Snapshot.type),
        find_signers(root.roles[Timestamp.type], online, Timestamp.type),
    )


def director(
    assignments: Iterable[Assignment],
    *,
    signer: Signer,
    fleet: str,
    device: str,
    incarnation: int,
    version: int,
    now: datetime | None = None,
    life: timedelta = DIRECTOR_LIFE,
) -> bytes:
    """Return the signed document that says what ``device`` shall run."""
    now = now or datetime.now(UTC)
    signed = Targets(version=version, expires=now + life)
    for one in assignments:
        custom = {"release": one.release, "hardware": one.hardware, "attempt": one.attempt}
        hashes = {"sha256": one.manifest_sha256}
        signed.targets[one.path] = TargetFile(one.length, hashes, one.path, {"custom": custom})
    to = {"fleet": fleet, "device": device, "incarnation": incarnation}
    signed.unrecognized_fields[rules.FIELD] = to
    document = Metadata(signed)
    document.sign(signer)
    return document.to_bytes()
