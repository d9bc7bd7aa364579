"""What a draft says, line by line, for whoever is asked to sign it. It decides nothing.

All of a root is said, for a root is read whole before it is signed. Of releases those that are
new or gone are, where the version before is one that its signers signed: of a version that
nobody signed nothing is taken for granted. A + stands before what is new, a - before what is gone.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Role, Root, Targets

from littoral.errors import TrustError
from littoral.trust import rules
from littoral.trust.drafts import Draft, called
from littoral.trust.metadata import canonical, verify
from littoral.trust.rotation import ANCHORED, TOP_LEVEL


def lines(draft: Draft, *, now: datetime) -> list[str]:
    """Return all that signing ``draft`` would say."""
    signed, before = draft.metadata.signed, _signed_before(draft)
    days = (signed.expires - now).days
    kept = "the first" if draft.before is None else f"after {_called(draft.before)}"
    said = [
        f"{draft.role} {signed.version}, {kept}, until {signed.expires:%Y-%m-%d} ({days} days)",
        f"what is signed: sha256 {sha256(canonical(draft.metadata, draft.name)).hexdigest()}",
    ]
    if draft.before is not None and before is None:
        said.append("! the version before is signed by nobody who signs this: read it all as new")
    old = before.signed if before else None
    if isinstance(signed, Root):
        said += _root(signed, old)
    else:
        said += _delegations(signed, old)
        said += _floors(draft.role, signed, old)
        said += _releases(signed, old)
    return said + _signatures(draft)


def _signatures(draft: Draft) -> list[str]:
    said = []
    for quorum in draft.quorums:
        have, lack = (", ".join(map(called, k.values())) for k in (quorum.signed, quorum.unsigned))
        missing = f"{quorum.missing} more of: {lack}" if quorum.missing else "enough"
        said.append(
            f"signed for {quorum.whose}, {quorum.threshold} needed: {have or 'nobody'}; {missing}"
        )
    return said


def _root(new: Root, old: Root | None) -> Iterator[str]:
    for role in TOP_LEVEL:
        yield from _role(role, new.roles[role], old.roles[role] if old else None, new, old)
    for role in ANCHORED:
        before = _anchored(old, role) if old else {}
        yield from _keys(f"{role}: any of", _anchored(new, role), before)
    yield from _changed("fleet", new, old)
    yield from _changed("device_ca_sha256", new, old)


def _changed(name: str, new: Root, old: Root | None) -> Iterator[str]:
    found = _field(new).get(name)
    before = _field(old).get(name) if old else None
    if before not in (None, found):
        yield f"- {name} {before}"
    yield f"{' ' if found == before else '+'} {name} {found}"


def _role(
    name: str, role: Role, old_role: Role | None, new: Root | Targets, old: Root | Targets | None
) -> Iterator[str]:
    was = (
        f" (was {old_role.threshold})" if old_role and old_role.threshold != role.threshold else ""
    )
    before = {i: _key(old, i) for i in old_role.keyids} if old and old_role else {}
    now = {i: _key(new, i) for i in role.keyids}
    yield from _keys(f"{name}: {role.threshold}{was} of {len(now)}", now, before)


def _keys(head: str, new: Mapping[str, Key], old: Mapping[str, Key]) -> Iterator[str]:
    yield f"  {head}"
    for keyid in sorted({**new, **old}):
        mark = " " if keyid in new and keyid in old else "+" if keyid in new else "-"
        key = {**old, **new}[keyid]
        yield f"{mark}     {called(key)}  {key.scheme}"


def _delegations(new: Targets, old: Targets | None) -> Iterator[str]:
    roles, before = _roles(new), _roles(old)
    for name in sorted({**roles, **before}):
        if name not in roles:
            yield f"- {name}: nobody is trusted with it any more"
            continue
        yield from _role(name, roles[name], before.get(name), new, old)
        paths = roles[name].paths or ()
        same = name in before and before[name].paths == paths
        yield f"{' ' if same else '+'}     for {', '.join(paths)}"


def _floors(role: str, new: Targets, old: Targets | None) -> Iterator[str]:
    floor, before = rules.floor(new, role), rules.floor(old, role) if old else 0
    if floor != before:
        yield f"+ floor {floor} (was {before})"


def _releases(new: Targets, old: Targets | None) -> Iterator[str]:
    before = old.targets if old else {}
    same = 0
    for path in sorted({**new.targets, **before}):
        found, was = (held.get(path) for held in (new.targets, before))
        if found == was:
            same += 1
            continue
        if was is not None:
            yield f"- {path}  sha256 {was.hashes.get('sha256')}"
        if found is not None:
            yield f"+ {path}  sha256 {found.hashes.get('sha256')}"
    if same:
        yield f"  and {same} {'manifest' if same == 1 else 'manifests'} as before"


def _signed_before(draft: Draft) -> Metadata[Any] | None:
    """Return the version before, if those who sign this draft signed it."""
    if draft.before is None:
        return None
    try:
        by = draft.before if draft.by is None else draft.by
        verify(by.signed, draft.role, draft.before)
    except TrustError:
        return None
    return draft.before


def _called(before: Metadata[Any]) -> str:
    return f"{before.signed.version} (sha256 {sha256(canonical(before, '')).hexdigest()[:16]}…)"


def _field(root: Root) -> dict[str, Any]:
    found = root.unrecognized_fields.get(rules.FIELD)
    return found if isinstance(found, dict) else {}


def _anchored(root: Root, role: str) -> dict[str, Key]:
    found = rules.anchors(root)
    return dict(found.director if role == "director" else found.time)


def _key(by: Root | Targets | None, keyid: str) -> Key:
    keys = by.keys if isinstance(by, Root) else by.delegations.keys if by and by.delegations else {}
    return keys[keyid]


def _roles(targets: Targets | None) -> dict[str, Any]:
    found = targets.delegations.roles if targets and targets.delegations else None
    return dict(found or {})
