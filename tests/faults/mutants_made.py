"""Which mutant of a repository comes next: the n-th one of a seed is always the same.

Unsigned ones are what anybody on the way can make; a thief has the online keys of snapshot and
timestamp, and makes them agree with what he forged; the others are signed by whom they should be.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from faults.mutants_edits import edited, spoiled, texted
from faults.mutants_forged import ROLES, bundled, forged, name_of, signed
from faults.mutants_world import DOCUMENT, TIME, World


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


def _any(world: World, chance: Random, *, json_only: bool = False) -> str:
    """Return the name of something that a device asks for."""
    names = [name_of(world, role) for role in ROLES[:-1]] * 4
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


FAMILIES: Final[dict[str, tuple[float, Callable[[World, Random], dict[str, Any]]]]] = {
    "bytes": (24, _bytes),
    "json": (18, _json),
    "text": (8, _text),
    "swapped": (10, _swapped),
    "older": (2, _older),
    "missing": (2, _missing),
    "forged": (16, forged),
    "signed": (12, signed),
    "bundled": (8, bundled),
}
_WEIGHTS: Final = [weight for weight, _ in FAMILIES.values()]
