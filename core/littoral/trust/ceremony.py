"""Prepares what several people are to sign: whom to trust, and whom no more.

Whoever prepares a draft (littoral.trust.drafts) needs no secret key for it and decides nothing:
those who hold the keys do, each on a machine of their own, and littoral.trust.collecting puts
into the repository what enough of them have signed. What is released: littoral.trust.releasing.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Role,
    Root,
    Targets,
)

from littoral.errors import MisuseError, TrustError
from littoral.trust import rules
from littoral.trust.drafts import OWNER, Draft, called
from littoral.trust.founding import check_thresholds
from littoral.trust.metadata import verify
from littoral.trust.publishing import check_model
from littoral.trust.repository import Repository
from littoral.trust.rotation import ANCHORED, TOP_LEVEL
from littoral.trust.signing import ROOT_LIFE, TARGETS_LIFE, stamp

_PREFIX: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Whom to trust with which role, whom no more, and how many must sign."""

    trust: tuple[tuple[str, Key], ...] = ()
    revoke: tuple[tuple[str, str], ...] = ()  # a key's owner, or the beginning of its id
    thresholds: Mapping[str, int] = field(default_factory=dict)
    device_ca: str | None = None  # the sha256 of another device CA's root, for root to anchor
    life: timedelta | None = None  # of what is drafted; as long as usual without


def draft_root(folder: Path, changes: Changes, *, now: datetime) -> Draft:
    """Return the next root.

    Raises:
        MisuseError: There is no such role or key, too few keys would be left, or what is signed
            in the repository would not hold any more.

    """
    repository = Repository(folder)
    held = repository.root()
    before = repository.newest(Root, Root.type)
    metadata = copy.deepcopy(before)
    assert metadata is not None  # noqa: S101 (root() would have raised)
    root = metadata.signed
    for role, key in changes.trust:
        _trust(root, _known(role), key)
    for role, who in changes.revoke:
        _revoke(root, _known(role), who)
    for role, threshold in changes.thresholds.items():
        root.get_delegated_role(_known(role, TOP_LEVEL)).threshold = threshold
    if changes.device_ca is not None:
        root.unrecognized_fields[rules.FIELD]["device_ca_sha256"] = changes.device_ca
    check_thresholds(root)
    _still_holds(root, Targets.type, repository.targets(held))
    next_version(metadata, version=held.version + 1, life=changes.life or ROOT_LIFE, now=now)
    return Draft(role=Root.type, before=before, by=None, metadata=metadata)


def draft_targets(folder: Path, changes: Changes, *, now: datetime) -> tuple[Draft, ...]:
    """Return the next targets, and the first metadata of each model that is new in them.

    Raises:
        MisuseError: As ``draft_root``.

    """
    repository = Repository(folder)
    root = repository.root()
    if changes.device_ca is not None:
        raise MisuseError("the device CA is anchored by root; draft root")
    by = repository.newest(Root, Root.type)
    before = repository.targets(root)
    held = repository.models(before.signed)
    metadata = copy.deepcopy(before)
    targets = metadata.signed
    targets.delegations = targets.delegations or Delegations({}, roles={})
    for model, key in changes.trust:
        _delegate(targets, model, key)
    for model, who in changes.revoke:
        keyid = _find(_delegated(targets, model), targets.delegations.keys, who, name=model)
        targets.revoke_key(keyid, model)
    for model, threshold in changes.thresholds.items():
        _delegated(targets, model).threshold = threshold
    for model, role in (targets.delegations.roles or {}).items():
        if not 1 <= role.threshold <= len(role.keyids):
            raise MisuseError(f"{model}: {role.threshold} must sign, and {len(role.keyids)} can")
        if model in held:
            _still_holds(targets, model, held[model])
    next_version(
        metadata,
        version=before.signed.version + 1,
        life=changes.life or TARGETS_LIFE,
        now=now,
    )
    new = [name for name in targets.delegations.roles or {} if name not in held]
    first = [_first(model, by=metadata, life=changes.life, now=now) for model in new]
    return (Draft(role=Targets.type, before=before, by=by, metadata=metadata), *first)


def next_version(metadata: Metadata[Any], *, version: int, life: timedelta, now: datetime) -> None:
    """Make ``metadata`` the one that is to be signed as ``version``."""
    metadata.signed.version = version
    metadata.signed.expires = (now + life).replace(microsecond=0)
    metadata.signatures.clear()
    stamp(metadata, now=now)


def _first(model: str, *, by: Metadata[Targets], life: timedelta | None, now: datetime) -> Draft:
    metadata = Metadata(Targets())
    metadata.signed.unrecognized_fields[rules.FLOORS] = {model: 0}
    next_version(metadata, version=1, life=life or TARGETS_LIFE, now=now)
    return Draft(role=model, before=None, by=by, metadata=metadata)


def _known(role: str, names: Iterable[str] = (*TOP_LEVEL, *ANCHORED)) -> str:
    if role not in names:
        raise MisuseError(f"root names nobody for {role!r}; its roles are: {', '.join(names)}")
    return role


def _trust(root: Root, role: str, key: Key) -> None:
    if role in ANCHORED:
        root.unrecognized_fields[rules.FIELD][role][key.keyid] = key.to_dict()
    else:
        root.add_key(key, role)


def _revoke(root: Root, role: str, who: str) -> None:
    if role not in ANCHORED:
        root.revoke_key(_find(root.roles[role], root.keys, who, name=role), role)
        return
    named = root.unrecognized_fields[rules.FIELD][role]
    keys = {keyid: Key.from_dict(keyid, dict(key)) for keyid, key in named.items()}
    del named[_match(role, keys, who)]
    if not named:
        raise MisuseError(f"{role}: the last key; trust another one in the same draft")


def _find(role: Role, keys: Mapping[str, Key], who: str, *, name: str) -> str:
    return _match(name, {keyid: keys[keyid] for keyid in role.keyids}, who)


def _match(role: str, keys: Mapping[str, Key], who: str) -> str:
    """Return the id of the key whose owner is ``who``, or whose id begins so."""
    found = [i for i, key in keys.items() if who == key.unrecognized_fields.get(OWNER)]
    found = found or [i for i in keys if len(who) >= _PREFIX and i.startswith(who)]
    if len(found) != 1:
        raise MisuseError(
            f"{role}: expected the owner of one key, or {_PREFIX} letters or more of its id, "
            f"found {who!r}; there are: {', '.join(called(key) for key in keys.values())}"
        )
    return found[0]


def _delegate(targets: Targets, model: str, key: Key) -> None:
    assert targets.delegations is not None  # noqa: S101 (draft_targets made them)
    roles = targets.delegations.roles
    if roles is None:
        raise MisuseError("targets delegates to hash bins, and not to models")
    if model not in roles:
        check_model(model)
        paths = [f"bundles/{model}/*/*"]
        roles[model] = DelegatedRole(model, [], 1, terminating=True, paths=paths)
    targets.add_key(key, model)


def _delegated(targets: Targets, model: str) -> DelegatedRole:
    roles = (targets.delegations.roles if targets.delegations else None) or {}
    if model not in roles:
        raise MisuseError(f"no model {model!r}; there are: {', '.join(roles) or 'none'}")
    return roles[model]


def _still_holds(by: Root | Targets, role: str, held: Metadata[Targets]) -> None:
    try:
        verify(by, role, held)
    except TrustError as e:
        raise MisuseError(
            f"{role}: what is signed in the repository would not hold any more; trust the new key "
            f"first, have {role} signed anew by enough (littoral repo draft), then revoke"
        ) from e
