"""Replaces keys, lengthens lives, raises floors: what is done offline, a few times in years.

An offline key is replaced in three steps, so that a kill between two of them leaves what
holds: the new key is trusted beside the old one, signs what the old one had signed, and then
the old one is trusted no more. Taking a key from timestamp or snapshot makes devices forget
what it said.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from littoral import durable
from littoral.errors import MisuseError, RollbackError
from littoral.trust import rules
from littoral.trust.keyfiles import held, load_signer
from littoral.trust.keys import new_key
from littoral.trust.repository import Repository, releases
from littoral.trust.signing import ROOT_LIFE, TARGETS_LIFE, find_signers, write

ONLINE: Final = (Snapshot.type, Timestamp.type)  # roles of TUF whose keys the console holds
TOP_LEVEL: Final = (Root.type, Targets.type, *ONLINE)
ANCHORED: Final = ("director", "time")  # keys of the console that root names in our own field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """Which key took the place of which."""

    role: str
    old: str
    new: str
    path: Path  # of the new key


def rotate(
    folder: Path,
    role: str,
    *,
    offline: Path,
    online: Path | None = None,
    key: str | None = None,
    now: datetime | None = None,
) -> Rotated:
    """Replace the key of ``role`` by a new one; ``key`` is the old one's id, where it has several.

    ``role`` is root, targets, a model, or one of the console's: snapshot, timestamp, director,
    time, for which ``online`` is its folder of keys; run ``renew`` after it.

    Raises:
        MisuseError: There is no such role or key, or too few keys are here to sign.

    """
    now = now or datetime.now(UTC)
    repository = Repository(folder)
    root = _root(repository)
    if role in {*ONLINE, *ANCHORED}:
        if online is None:
            raise MisuseError(f"{role}: its key is the console's; name its folder with --online")
        return _rotate_online(repository, root, role, offline=offline, online=online, now=now)
    path = _free(offline, role)
    if role == Root.type:
        return _rotate_root(repository, root, old=key, path=path, now=now)
    if role == Targets.type:
        return _rotate_targets(repository, root, old=key, path=path, now=now)
    return _rotate_model(repository, root, role, old=key, path=path, now=now)


def extend(folder: Path, *, offline: Path, now: datetime | None = None) -> None:
    """Sign root, targets and every model's metadata anew, for their full lives.

    Raises:
        MisuseError: Too few keys are here to sign; nothing is changed.

    """
    now = now or datetime.now(UTC)
    repository = Repository(folder)
    root = _root(repository)
    targets = repository.targets(root.signed)
    found = find_signers(root.signed.roles[Root.type], offline, Root.type)
    models = repository.models(targets.signed)
    for model in models:
        find_signers(targets.signed.get_delegated_role(model), offline, model)
    find_signers(root.signed.roles[Targets.type], offline, Targets.type)
    for model, metadata in models.items():
        _write_targets(repository, metadata, model, by=targets.signed, keys=offline, now=now)
    _write_targets(repository, targets, Targets.type, by=root.signed, keys=offline, now=now)
    _write_root(repository, root, signers=found, now=now)


def raise_floor(
    folder: Path,
    model: str,
    *,
    floor: int,
    offline: Path,
    force: bool = False,
    now: datetime | None = None,
) -> None:
    """State the lowest release of ``model`` that may be newly activated.

    Raises:
        RollbackError: It was higher; a floor never falls.
        MisuseError: There is no such model, or its key is not here; or no release of it reaches
            the floor, and it was not forced.

    """
    now = now or datetime.now(UTC)
    repository = Repository(folder)
    targets = repository.targets(repository.root())
    metadata = _model(repository, targets.signed, model)
    set_floor(metadata.signed, model, floor=floor)
    if not force:
        check_reached(floor, model, newest=max(releases(metadata.signed, model), default=0))
    _write_targets(repository, metadata, model, by=targets.signed, keys=offline, now=now)


def check_reached(floor: int, model: str, *, newest: int) -> None:
    """Raise MisuseError if no release may be newly activated: a slip here is there for ever."""
    if floor > newest:
        raise MisuseError(
            f"{model}: expected a floor of at most {newest}, its newest release, found {floor}; "
            "a floor never falls, and no release could be activated until one reaches it: "
            "if that is meant, run littoral repo floor with --force"
        )


def set_floor(signed: Targets, model: str, *, floor: int) -> None:
    before = rules.floor(signed, model)
    if floor < before:
        raise RollbackError(f"{model}: a floor never falls", offered=floor, accepted=before)
    floors = dict(signed.unrecognized_fields.get(rules.FLOORS, {}))
    signed.unrecognized_fields[rules.FLOORS] = {**floors, model: floor}


def _rotate_online(
    repository: Repository,
    root: Metadata[Root],
    role: str,
    *,
    offline: Path,
    online: Path,
    now: datetime,
) -> Rotated:
    """Name the new key in root, then give it the old one's file name. Can be done twice."""
    path, pending = online / f"{role}.pem", online / f"{role}.new.pem"
    if not pending.exists():
        new_key(pending)
    new, old = load_signer(pending).public_key, _online_keyid(root.signed, role)
    signers = find_signers(root.signed.roles[Root.type], offline, Root.type)
    if old != new.keyid:
        _name_online(root.signed, role, old=old, new=new)
        _write_root(repository, root, signers=signers, now=now)
    if path.exists():
        path.replace(online / f"{role}.old.pem")
    pending.replace(path)
    durable.sync_folder(online)
    return Rotated(role=role, old=old, new=new.keyid, path=path)


def _rotate_root(
    repository: Repository, root: Metadata[Root], *, old: str | None, path: Path, now: datetime
) -> Rotated:
    role = root.signed.roles[Root.type]
    gone = _old(role.keyids, Root.type, named=old)
    before = find_signers(role, path.parent, Root.type)
    new = _make(path)
    root.signed.revoke_key(gone, Root.type)
    root.signed.add_key(new.public_key, Root.type)
    both = {signer.public_key.keyid: signer for signer in (*before, new)}
    _write_root(repository, root, signers=list(both.values()), now=now)
    return Rotated(role=Root.type, old=gone, new=new.public_key.keyid, path=path)


def _rotate_targets(
    repository: Repository, root: Metadata[Root], *, old: str | None, path: Path, now: datetime
) -> Rotated:
    role = root.signed.roles[Targets.type]
    gone = _old(role.keyids, Targets.type, named=old)
    by = find_signers(root.signed.roles[Root.type], path.parent, Root.type)
    targets = repository.targets(root.signed)
    new = _make(path).public_key
    root.signed.add_key(new, Targets.type)
    _write_root(repository, root, signers=by, now=now)
    _write_targets(repository, targets, Targets.type, by=root.signed, keys=path.parent, now=now)
    root.signed.revoke_key(gone, Targets.type)
    _write_root(repository, root, signers=by, now=now)
    return Rotated(role=Targets.type, old=gone, new=new.keyid, path=path)


def _rotate_model(
    repository: Repository,
    root: Metadata[Root],
    model: str,
    *,
    old: str | None,
    path: Path,
    now: datetime,
) -> Rotated:
    targets = repository.targets(root.signed)
    metadata = _model(repository, targets.signed, model)
    gone = _old(targets.signed.get_delegated_role(model).keyids, model, named=old)
    find_signers(root.signed.roles[Targets.type], path.parent, Targets.type)
    new = _make(path).public_key
    targets.signed.add_key(new, model)
    _write_targets(repository, targets, Targets.type, by=root.signed, keys=path.parent, now=now)
    _write_targets(repository, metadata, model, by=targets.signed, keys=path.parent, now=now)
    targets.signed.revoke_key(gone, model)
    _write_targets(repository, targets, Targets.type, by=root.signed, keys=path.parent, now=now)
    return Rotated(role=model, old=gone, new=new.keyid, path=path)


def _write_root(
    repository: Repository, root: Metadata[Root], *, signers: Iterable[Signer], now: datetime
) -> None:
    root.signed.version += 1
    root.signed.expires = now + ROOT_LIFE
    write(repository, Root.type, root, signers=signers, now=now)


def _write_targets(
    repository: Repository,
    metadata: Metadata[Targets],
    role: str,
    *,
    by: Root | Targets,
    keys: Path,
    now: datetime,
) -> None:
    metadata.signed.version += 1
    metadata.signed.expires = now + TARGETS_LIFE
    signers = find_signers(by.get_delegated_role(role), keys, role)
    write(repository, role, metadata, signers=signers, now=now)


def _root(repository: Repository) -> Metadata[Root]:
    """Return the newest root to be edited, when the chain up to it holds."""
    repository.root()
    found = repository.newest(Root, Root.type)
    assert found is not None  # noqa: S101 (root() would have raised)
    return found


def _model(repository: Repository, targets: Targets, model: str) -> Metadata[Targets]:
    models = repository.models(targets)
    if model not in models:
        raise MisuseError(f"no role {model!r}; the models are: {', '.join(models) or 'none'}")
    return models[model]


def _old(keyids: Sequence[str], role: str, *, named: str | None) -> str:
    if named is None and len(keyids) == 1:
        return keyids[0]
    if named not in keyids:
        raise MisuseError(
            f"{role}: name the key to replace with --key, one of: {', '.join(keyids)}"
        )
    return str(named)


def _free(offline: Path, name: str) -> Path:
    return next(
        offline / f"{name}-{n}.pem"
        for n in itertools.count(1)
        if held(offline, f"{name}-{n}") is None
    )


def _make(path: Path) -> Signer:
    new_key(path)
    return load_signer(path)


def _online_keyid(root: Root, role: str) -> str:
    if role in ANCHORED:
        return str(next(iter(root.unrecognized_fields[rules.FIELD][role])))
    return root.roles[role].keyids[0]


def _name_online(root: Root, role: str, *, old: str, new: Key) -> None:
    if role in ANCHORED:
        root.unrecognized_fields[rules.FIELD][role] = {new.keyid: new.to_dict()}
    else:
        root.revoke_key(old, role)
        root.add_key(new, role)
