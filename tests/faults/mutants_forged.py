"""Mutants of a repository that somebody signed: who may not, or too few; or who may.

A thief has the online keys of snapshot and timestamp, and makes them agree with what he forged.
"""

import hashlib
import json
from random import Random
from typing import Any, Final

from securesystemslib.formats import encode_canonical

from faults.mutants_edits import edited, texted
from faults.mutants_world import DOCUMENT, World, canonical

ROLES: Final = ("timestamp", "snapshot", "targets", "digits", "words", "root", DOCUMENT)
_ONLINE: Final = ("timestamp", "snapshot")
_SIGNS: Final = {
    "timestamp": ("timestamp",),
    "snapshot": ("snapshot",),
    "targets": ("targets-1",),
    "digits": ("digits-1",),
    "words": ("words-1",),
    "root": ("root-1", "root-2", "root-3"),
    DOCUMENT: ("director",),
}


def forged(world: World, chance: Random) -> dict[str, Any]:
    """Signed by somebody who may not, or by too few; a thief makes the rest agree."""
    role = chance.choice(ROLES)
    whole = json.loads(_held(world, role))
    if chance.random() < 0.8:
        whole["signed"] = edited(whole["signed"], chance)
    how = chance.choice(("nobody", "stranger", "posing", "other", "old", "kept", "few"))
    payload = _payload(whole["signed"])
    right = [world.signers[name] for name in _SIGNS[role]]
    others = [one for name, one in world.signers.items() if name not in _SIGNS[role]]
    match how:
        case "nobody":
            whole["signatures"] = []
        case "stranger" | "other":
            by = world.signers["stranger"] if how == "stranger" else chance.choice(others)
            whole["signatures"] = [_signature(by, payload)]
        case "posing":
            by = chance.choice(others)
            whole["signatures"] = [
                {**_signature(by, payload), "keyid": one.public_key.keyid} for one in right
            ]
        case "old":
            whole["signatures"] = [_signature(world.signers["old"], payload)]
        case "few" if len(right) > 1:
            one = _signature(right[0], payload)
            others_ids = [one["keyid"], *(signer.public_key.keyid for signer in right[1:])]
            whole["signatures"] = [
                {**one, "keyid": keyid} for keyid in others_ids[: chance.choice((1, 2, 3))]
            ]
            if chance.random() < 0.5:
                whole["signatures"].append(_signature(world.signers["stranger"], payload))
        case _:
            pass  # the signatures of what it said before
    if how in {"kept", "few"} and whole == json.loads(_held(world, role)):
        whole["signed"]["version"] = 99
    return _agreed(world, role, json.dumps(whole).encode(), about=f"{role} {how}")


def signed(world: World, chance: Random) -> dict[str, Any]:
    """Changed by whoever may sign it: the parsers behind the signatures are met."""
    role = chance.choice(ROLES)
    whole = json.loads(_held(world, role))
    whole["signed"] = edited(whole["signed"], chance)
    payload = _payload(whole["signed"])
    whole["signatures"] = [_signature(world.signers[name], payload) for name in _SIGNS[role]]
    made = _agreed(world, role, json.dumps(whole).encode(), about=role)
    return {**made, "signed": True, "vouched": made["vouched"] | {payload}}


def bundled(world: World, chance: Random) -> dict[str, Any]:
    """A manifest that is not as it should be, and that director and publisher name as it is."""
    model, release = chance.choice((("digits", 2), ("words", 1)))
    name = next(n for n in world.files if n.startswith(f"targets/bundles/{model}/{release}/"))
    held = json.loads(world.files[name])
    data = (
        texted(held, chance) if chance.random() < 0.3 else json.dumps(edited(held, chance)).encode()
    )
    digest, path = hashlib.sha256(data).hexdigest(), f"bundles/{model}/{release}/manifest.json"
    named = []
    for role in (model, DOCUMENT):
        whole = json.loads(_held(world, role))
        target = whole["signed"]["targets"][path]
        target["length"], target["hashes"] = len(data), {"sha256": digest}
        payload = _payload(whole["signed"])
        whole["signatures"] = [_signature(world.signers[one], payload) for one in _SIGNS[role]]
        named.append((json.dumps(whole).encode(), payload))
    (bundled, said), (document, wanted) = named
    made = _agreed(world, model, bundled, about=f"{model}'s manifest")
    files = {**made["files"], f"targets/bundles/{model}/{release}/{digest}.manifest.json": data}
    vouched = made["vouched"] | {said, wanted}
    return {**made, "files": files, "document": document, "signed": True, "vouched": vouched}


def _agreed(world: World, role: str, data: bytes, *, about: str) -> dict[str, Any]:
    """Put ``data`` in the place of ``role``, with a snapshot and a timestamp that name it."""
    if role == DOCUMENT:
        return {"about": about, "document": data, "vouched": frozenset()}
    files: dict[str, bytes | None] = {_named(world, role, data): data}
    vouched: set[bytes] = set()
    above = {"timestamp": (), "root": (), "snapshot": ("timestamp",)}.get(role, _ONLINE[::-1])
    for parent in above:
        whole = json.loads(_held(world, parent))
        named = {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
        whole["signed"]["meta"][f"{role}.json"] |= {**named, "version": _version(data)}
        payload = _payload(whole["signed"])
        whole["signatures"] = [_signature(world.signers[parent], payload)]
        data, role = json.dumps(whole).encode(), parent
        files[_named(world, role, data)] = data
        vouched.add(payload)
    return {"about": about, "files": files, "vouched": frozenset(vouched)}


def _version(data: bytes) -> int:
    try:
        found = json.loads(data)["signed"]["version"]
    except (KeyError, TypeError):
        return 1
    return found if type(found) is int and found > 0 else 1


def _named(world: World, role: str, data: bytes) -> str:
    held = name_of(world, role)
    return held if role in {"timestamp", "root"} else f"metadata/{_version(data)}.{role}.json"


def name_of(world: World, role: str) -> str:
    """Return under which name the newest metadata of ``role`` is asked for."""
    if role == "timestamp":
        return "metadata/timestamp.json"
    if role == "root":
        return "metadata/2.root.json"
    timestamp = json.loads(world.files["metadata/timestamp.json"])["signed"]
    snapshot = f"metadata/{timestamp['meta']['snapshot.json']['version']}.snapshot.json"
    if role == "snapshot":
        return snapshot
    meta = json.loads(world.files[snapshot])["signed"]["meta"]
    return f"metadata/{meta[f'{role}.json']['version']}.{role}.json"


def _held(world: World, role: str) -> bytes:
    return world.document if role == DOCUMENT else world.files[name_of(world, role)]


def _signature(signer: Any, payload: bytes) -> dict[str, Any]:
    found: dict[str, Any] = signer.sign(payload).to_dict()
    return found


def _payload(signed: Any) -> bytes:
    """Return what is signed of it; of what has no canonical form, any bytes."""
    data = json.dumps({"signed": signed, "signatures": []}).encode()
    try:
        return canonical(data)
    except Exception:  # noqa: BLE001 (it is no metadata, which is what is wanted)
        pass
    try:
        return (encode_canonical(signed) or "").encode()
    except Exception:  # noqa: BLE001
        return data
