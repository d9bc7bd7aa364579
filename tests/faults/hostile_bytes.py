"""Mutants of a model file that know nothing of models: bytes, and the bones of a flatbuffer.

The bones are found by reading a file with the schema's own reader and noting where it looks.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final
from unittest.mock import patch

EDGES: Final = (0, 1, 2, 4, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFE, 0x7FFFFFFF, 2**31, 2**32 - 1)

Change = Callable[[bytes, Random], bytes]


@dataclass(frozen=True, slots=True)
class Bone:
    """A word of a flatbuffer: a table's vtable, a vtable's slot, an offset, a length, a value."""

    kind: str
    at: int
    size: int


def truncated(data: bytes, chance: Random) -> bytes:
    ends = (0, 1, 4, 7, 8, 16, len(data) // 2, len(data) - 1, len(data) - 4)
    return data[: chance.choice((*ends, *(chance.randrange(len(data)) for _ in range(16))))]


def flipped(data: bytes, chance: Random) -> bytes:
    """Flip some bits, near the head in every third."""
    spoiled = bytearray(data)
    end = min(64, len(data)) if chance.random() < 1 / 3 else len(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        spoiled[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def overwritten(data: bytes, chance: Random) -> bytes:
    """Put edge values in the place of some aligned words."""
    spoiled = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = 4 * chance.randrange(len(data) // 4)
        spoiled[at : at + 4] = struct.pack("<I", chance.choice((*EDGES, len(data), len(data) - at)))
    return bytes(spoiled)


def moved(data: bytes, chance: Random) -> bytes:
    """Copy, drop, double or clear a block."""
    a, b = sorted(chance.randrange(len(data)) for _ in range(2))
    to, block = chance.randrange(len(data)), data[a : min(b, a + 512)]
    match chance.randrange(5):
        case 0:
            return data[:to] + block + data[to + len(block) :]
        case 1:
            return data[:a] + data[a + len(block) :]
        case 2:
            return data[:to] + block + data[to:]
        case 3:
            return data[:a] + bytes(len(block)) + data[a + len(block) :]
        case _:
            return data + chance.randbytes(chance.choice((1, 4, 4096)))


def broken(data: bytes, chance: Random) -> bytes:
    """Bend one or two of its bones."""
    spoiled, known = bytearray(data), bones(data)
    for _ in range(chance.choice((1, 1, 1, 2))):
        kind = chance.choice(("vtable", "slot", "offset", "length", "value"))
        bone = chance.choice(known[kind])
        other = chance.choice(known[chance.choice(("vtable", "offset", "length"))])
        value = _bent(spoiled, bone, other, chance)
        spoiled[bone.at : bone.at + bone.size] = (value % 256**bone.size).to_bytes(
            bone.size, "little"
        )
    return bytes(spoiled)


def _bent(data: bytearray, bone: Bone, other: Bone, chance: Random) -> int:
    held = int.from_bytes(data[bone.at : bone.at + bone.size], "little")
    edges = (*EDGES, held + 1, held - 1, held + 4, held * 1000, len(data))
    match bone.kind:
        case "offset" if chance.random() < 0.6:
            return other.at - bone.at  # somewhere else, also back: then it turns in a circle
        case "vtable" if chance.random() < 0.6:
            return bone.at - other.at
        case "slot" if chance.random() < 0.6:
            return chance.choice((0, 4, 6, 8, 12, 64, 0x7FFE, 0xFFFF))
        case _:
            return chance.choice(edges)


@cache
def bones(data: bytes) -> dict[str, list[Bone]]:
    """Return the words by which ``data``, an honest model, is read, by kind."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import number_types
    from flatbuffers.table import Table

    found: set[Bone] = {Bone("offset", 0, 4)}
    pointers = (number_types.SOffsetTFlags, number_types.VOffsetTFlags, number_types.UOffsetTFlags)

    def noting(name: str, note: Callable[..., None]) -> Any:
        held = getattr(Table, name)

        def noted(self: Any, *words: Any) -> Any:
            note(self, *words)
            return held(self, *words)

        return patch.object(Table, name, noted)

    def slot(table: Any, at: int) -> None:
        vtable = table.Pos - struct.unpack_from("<i", data, table.Pos)[0]
        found.add(Bone("vtable", table.Pos, 4))
        if at < struct.unpack_from("<H", data, vtable)[0]:
            found.add(Bone("slot", vtable + at, 2))

    def pointer(_: Any, at: int) -> None:
        found.add(Bone("offset", at, 4))

    def vector(table: Any, at: int) -> None:
        at += table.Pos
        found.add(Bone("offset", at, 4))
        found.add(Bone("length", at + struct.unpack_from("<I", data, at)[0], 4))

    def value(_: Any, flags: Any, at: int) -> None:
        if flags not in pointers:
            found.add(Bone("value", at, flags.bytewidth))

    with (
        noting("Offset", slot),
        noting("Indirect", pointer),
        noting("String", pointer),
        noting("Vector", vector),
        noting("Get", value),
    ):
        schema.ModelT.InitFromPackedBuf(data, 0)
    kinds: dict[str, list[Bone]] = {}
    for bone in sorted(found, key=lambda one: (one.at, one.kind)):
        kinds.setdefault(bone.kind, []).append(bone)
    return kinds


CHANGES: Final[dict[str, Change]] = {
    one.__name__: one for one in (truncated, flipped, overwritten, moved, broken)
}
