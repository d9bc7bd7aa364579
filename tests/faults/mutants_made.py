"""Which mutant of a repository comes next: the n-th one of a seed is always the same.

Unsigned ones are what anybody on the way can make; a thief has the online keys of snapshot and
timestamp, and makes them agree with what he forged; the others are signed by whom they should be.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from securesystemslib.formats import encode_canonical

from faults.mutants_edits import edited, spoiled, texted
from faults.mutants_world import DOCUMENT, TIME, World, canonical

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


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """What is put in the place of honest ``files``, None for one that is gone."""

    number: int
    family: str
    about: str
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    document: bytes | None = None
    time: Callable[[bytes], bytes] | None = None
    signed: bool = False  # by whom it should be: it may mean something else
    vouched: frozenset[bytes] = frozenset()  # what was signed on the way, in canonical form

    def __str__(self) -> str:
        return f"{self.number} ({self.family} {self.about})"


def mutant(world: World, seed: int, number: int) -> Mutant:
    chance = Random(f"{seed}:{number}")
    family = chance.choices(list(FAMILIES), _WEIGHTS)[0]
    made = FAMILIES[family][1](world, chance)
    return Mutant(number=number, family=family, **made)


def _bytes(world: World, chance: Random) -> dict[str, Any]:
    name = _any(world, chance)
    return _instead(name, lambda data: spoiled(data, Random(chance.random())), world)


def _json(world: World, chance: Random) -> dict[str, Any]:
    seed = chance.random()
    return _instead(
        _any(world, chance, json_only=True),
        lambda data: json.dumps(edited(json.loads(data), Random(seed))).encode(),
        world,
    )


def _text(world: World, chance: Random) -> dict[str, Any]:
    seed = chance.random()
    return _instead(
        _any(world, chance, json_only=True),
        lambda data: texted(json.loads(data), Random(seed)),
        world,
    )


def _swapped(world: World, chance: Random) -> dict[str, Any]:
    """Files in each other's place: of other roles, other versions, another model, from before."""
    known = {**world.old, **world.files, "director": world.document, "before": world.before}
    names = sorted(known)
    files = {_any(world, chance): known[chance.choice(names)] for _ in range(chance.randint(1, 3))}
    document = files.pop(DOCUMENT, None)
    answer = files.pop(TIME, None)
    time = None if answer is None else (lambda _: answer)
    return {"about": ", ".join(files), "files": files, "document": document, "time": time}


def _older(world: World, chance: Random) -> dict[str, Any]:
    """The whole repository as it was before, or parts of it."""
    files = {n: d for n, d in world.old.items() if chance.random() < 0.7}
    document = world.before if chance.random() < 0.2 else None
    return {"about": f"{len(files)} files", "files": files, "document": document}


def _missing(world: World, chance: Random) -> dict[str, Any]:
    names = chance.sample(sorted(world.files), chance.choice((1, 1, 2, 5)))
    return {"about": names[0], "files": dict.fromkeys(names)}


def _forged(world: World, chance: Random) -> dict[str, Any]:
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


def _signed(world: World, chance: Random) -> dict[str, Any]:
    """Changed by whoever may sign it: the parsers behind the signatures are met."""
    role = chance.choice(ROLES)
    whole = json.loads(_held(world, role))
    whole["signed"] = edited(whole["signed"], chance)
    payload = _payload(whole["signed"])
    whole["signatures"] = [_signature(world.signers[name], payload) for name in _SIGNS[role]]
    made = _agreed(world, role, json.dumps(whole).encode(), about=role)
    return {**made, "signed": True, "vouched": made["vouched"] | {payload}}


def _bundled(world: World, chance: Random) -> dict[str, Any]:
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


def _any(world: World, chance: Random, *, json_only: bool = False) -> str:
    """Return the name of something that a device asks for."""
    names = [_name(world, role) for role in ROLES[:-1]] * 4
    names += [DOCUMENT] * 4 + [TIME] * 2
    names += [n for n in world.files if n.startswith("targets/")]
    if not json_only:
        names += [n for n in world.files if n.startswith("blobs/")]
    return chance.choice(names)


def _instead(name: str, change: Callable[[bytes], bytes], world: World) -> dict[str, Any]:
    if name == TIME:
        return {"about": name, "time": change}
    if name == DOCUMENT:
        return {"about": name, "document": change(world.document)}
    return {"about": name, "files": {name: change(world.files[name])}}


def _name(world: World, role: str) -> str:
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
    return world.document if role == DOCUMENT else world.files[_name(world, role)]


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
    held = _name(world, role)
    return held if role in {"timestamp", "root"} else f"metadata/{_version(data)}.{role}.json"


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


FAMILIES: Final[dict[str, tuple[float, Callable[[World, Random], dict[str, Any]]]]] = {
    "bytes": (24, _bytes),
    "json": (18, _json),
    "text": (8, _text),
    "swapped": (10, _swapped),
    "older": (2, _older),
    "missing": (2, _missing),
    "forged": (16, _forged),
    "signed": (12, _signed),
    "bundled": (8, _bundled),
}
_WEIGHTS: Final = [weight for weight, _ in FAMILIES.values()]
