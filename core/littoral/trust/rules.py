"""Whether to believe the image repository. Rules only: no network, no disk, no clock.

The TUF client workflow in numbers, which docs/trust.md repeats. Each rule takes the bytes
that arrived, what was believed before and the time; it returns what is now believed, or
raises the one error of littoral.errors that says why not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from securesystemslib.signer import Key
from tuf.api.metadata import (
    TOP_LEVEL_ROLE_NAMES,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)

from littoral import records
from littoral.bundle.manifest import check_sha256
from littoral.errors import (
    EndlessError,
    ExpiredError,
    MalformedError,
    MixError,
    RollbackError,
)
from littoral.trust.beliefs import Anchors, Assignment, Desired
from littoral.trust.director import FIELD, accept_director, accept_manifest, agree
from littoral.trust.metadata import CAPS, check_bytes, parse, verify

__all__ = [
    "FIELD",
    "MAX_DELEGATIONS",
    "MAX_ROOTS",
    "Anchors",
    "Assignment",
    "Believed",
    "Desired",
    "accept_director",
    "accept_manifest",
    "accept_snapshot",
    "accept_targets",
    "accept_timestamp",
    "agree",
    "anchors",
    "delegates",
    "floor",
    "forgets",
    "fresh",
    "held_root",
    "issued",
    "limit",
    "next_root",
]

MAX_ROOTS: Final = 256  # rotations that one refresh follows
MAX_DELEGATIONS: Final = 32  # roles that one lookup asks, beside the first
MOST_NAME_BYTES: Final = 64  # of a role: files are called so, and quoted it is three times as long
FLOORS: Final = "x-floors"
ISSUED: Final = "x-issued"
ISO: Final = "%Y-%m-%dT%H:%M:%SZ"

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Believed(Generic[S]):
    """What was signed, the very bytes that said it, and the ids of the keys that signed."""

    signed: S
    data: bytes
    keyids: frozenset[str]


def held_root(data: bytes) -> Believed[Root]:
    """(1) The first root is given; all that is asked of it is that it agrees with itself."""
    metadata = parse(Root, data, "root")
    keyids = verify(metadata.signed, "root", metadata)
    return Believed(metadata.signed, data, keyids)


def next_root(data: bytes, *, held: Root) -> Believed[Root]:
    """(2) A new root is signed by the threshold of the held one and of itself, and is the next."""
    metadata = parse(Root, data, "root")
    verify(held, "root", metadata)
    keyids = verify(metadata.signed, "root", metadata)
    offered = metadata.signed.version
    if offered <= held.version:
        raise RollbackError("root", offered=offered, accepted=held.version)
    if offered != held.version + 1:
        raise MixError(f"root: expected version {held.version + 1}, found {offered}")
    return Believed(metadata.signed, data, keyids)


def forgets(new: Root, *, old: Root) -> bool:
    """(3) Whether ``new`` takes a key from timestamp or snapshot: what they said is forgotten.

    Else a thief who signed version 2^31 would have locked the fleet out for ever.
    """
    online = (Timestamp.type, Snapshot.type)
    return any(set(new.roles[r].keyids) != set(old.roles[r].keyids) for r in online)


def fresh(signed: Signed, role: str, *, now: datetime) -> None:
    """(4) Metadata ends when it says so. Of roots only the last one is asked."""
    if signed.is_expired(now):
        raise ExpiredError(role, expires=signed.expires, now=now)


def accept_timestamp(
    data: bytes, *, root: Root, held: Believed[Timestamp] | None, now: datetime
) -> Believed[Timestamp]:
    """(5) No older timestamp, and none that names an older snapshot; an equal one is the held."""
    metadata = parse(Timestamp, data, "timestamp")
    believed = Believed(metadata.signed, data, verify(root, "timestamp", metadata))
    signed = metadata.signed
    if held is not None:
        _not_older("timestamp", offered=signed.version, accepted=held.signed.version)
        if signed.version == held.signed.version:
            believed = held
        _not_older(
            "snapshot",
            offered=believed.signed.snapshot_meta.version,
            accepted=held.signed.snapshot_meta.version,
        )
    fresh(believed.signed, "timestamp", now=now)
    return believed


def accept_snapshot(
    data: bytes,
    *,
    root: Root,
    timestamp: Timestamp,
    held: Believed[Snapshot] | None,
    now: datetime,
) -> Believed[Snapshot]:
    """(6) The snapshot that the timestamp names; no role vanishes from it or goes back."""
    named = timestamp.snapshot_meta
    check_bytes("snapshot", data, named=named)
    metadata = parse(Snapshot, data, "snapshot")
    keyids = verify(root, "snapshot", metadata)
    signed = metadata.signed
    _same_version("snapshot", found=signed.version, named=named.version)
    for name, before in () if held is None else held.signed.meta.items():
        after = signed.meta.get(name)
        _not_older(name, offered=after.version if after else 0, accepted=before.version)
    fresh(signed, "snapshot", now=now)
    return Believed(signed, data, keyids)


def accept_targets(
    data: bytes, *, role: str, delegator: Root | Targets, snapshot: Snapshot, now: datetime
) -> Believed[Targets]:
    """(7) The targets that the snapshot names, signed by those whom the delegator names."""
    named = named_by(snapshot, role)
    check_bytes(role, data, named=named)
    metadata = parse(Targets, data, role)
    keyids = verify(delegator, role, metadata)
    _same_version(role, found=metadata.signed.version, named=named.version)
    fresh(metadata.signed, role, now=now)
    return Believed(metadata.signed, data, keyids)


def named_by(snapshot: Snapshot, role: str) -> MetaFile:
    """Return what ``snapshot`` says about ``role``.

    Raises:
        MixError: It says nothing.

    """
    named = snapshot.meta.get(f"{role}.json")
    if named is None:
        raise MixError(f"{role}: not in snapshot {snapshot.version}")
    return named


def limit(cls: type[Signed], role: str, *, named: MetaFile | None = None) -> int:
    """(8) How many bytes may be read: what is signed, and never more than the cap of its kind."""
    cap = CAPS[cls.type]
    if named is None or named.length is None:
        return cap
    if named.length > cap:
        raise EndlessError(role, limit=cap)
    return named.length


def delegates(targets: Targets, path: str) -> tuple[Sequence[str], bool]:
    """(9) Return the roles to ask about ``path``, in order, and whether no other may be asked."""
    names: list[str] = []
    if targets.delegations is None:
        return names, False
    for name, terminating in targets.delegations.get_roles_for_target(path):
        found: object = name  # the format's library does not look
        if not isinstance(found, str) or not 0 < len(found.encode()) <= MOST_NAME_BYTES:
            raise MalformedError(f"a delegation to {str(found)[:80]!r}, which is no role's name")
        if name in TOP_LEVEL_ROLE_NAMES:
            raise MalformedError(f"{name}: a delegation to a role of the top level")
        names.append(name)
        if terminating:
            return names, True
    return names, False


def floor(targets: Targets, model: str) -> int:
    """(10) Return the lowest release of ``model`` that may be newly activated, 0 if unstated."""
    floors = targets.unrecognized_fields.get(FLOORS, {})
    try:
        return records.fill(_Floors, {"floors": floors}).floors.get(model, 0)
    except records.RecordError as e:
        raise MalformedError(f"{FLOORS}: {e}") from e


def anchors(root: Root) -> Anchors:
    """(11) Return whom ``root`` names beside TUF's own roles.

    Raises:
        MalformedError: It names nobody, or not as it should.

    """
    try:
        field = records.fill(_Field, root.unrecognized_fields.get(FIELD), FIELD)
        return Anchors(
            fleet=field.fleet,
            director=_keys(field.director),
            time=_keys(field.time),
            device_ca_sha256=check_sha256("device_ca_sha256", field.device_ca_sha256),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise MalformedError(f"root: {e}") from e


def issued(signed: Signed) -> datetime | None:
    """(12) Return when ``signed`` says it was signed: no claim reaches beyond its own expiry."""
    try:
        when = datetime.strptime(str(signed.unrecognized_fields.get(ISSUED)), ISO).replace(
            tzinfo=UTC
        )
    except ValueError:
        return None
    return when if when < signed.expires else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    fleet: str
    director: dict[str, Any]
    time: dict[str, Any]
    device_ca_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Floors:
    floors: dict[str, int]


def _keys(field: dict[str, Any]) -> dict[str, Key]:
    return {keyid: Key.from_dict(keyid, dict(key)) for keyid, key in field.items()}


def _not_older(what: str, *, offered: int, accepted: int) -> None:
    if offered < accepted:
        raise RollbackError(what, offered=offered, accepted=accepted)


def _same_version(what: str, *, found: int, named: int) -> None:
    if found != named:
        raise MixError(f"{what}: expected version {named}, found {found}")
