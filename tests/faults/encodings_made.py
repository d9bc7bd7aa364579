"""Hostile encodings: the n-th of a seed is always the same. Each is what its digest says.

Honest ones, made as a publisher makes them, are changed byte by byte; and frames, tables and
pieces are written by hand that say what no honest writer says.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from littoral.bundle import frames
from littoral.bundle.frames import PLAIN
from littoral.bundle.patch import LEAST, MAGIC, PIECE, REACH, Run, Table, Way
from littoral.wire import varint
from littoral_converter import patches
from simulators.encodings import Made, made

Kind = Literal["zstd", "patch"]
FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_RAW, _RUN, _COMPRESSED, _RESERVED = range(4)


@dataclass(frozen=True, slots=True)
class Pair:
    """A file, its base, and what honestly makes it."""

    new: bytes
    old: bytes
    zstd: bytes
    patch: bytes

    def honest(self, kind: Kind) -> bytes:
        return self.zstd if kind == "zstd" else self.patch


@dataclass(frozen=True, slots=True)
class Hostile:
    """One of them, and the file that it is said to be an encoding of."""

    number: int
    family: str
    pair: Pair
    made: Made

    def __str__(self) -> str:
        return f"{self.number} {self.family}"


@cache
def pairs() -> tuple[Pair, ...]:
    """Return a model's next training, a larger file that is like an older one, and a tiny one."""
    tiny, other = ((FIXTURES / f"tiny_int8{name}.tflite").read_bytes() for name in ("", "_b"))
    noise = random.Random(1)
    old = noise.randbytes(400_000) + bytes(PLAIN)
    new = bytearray(old[:300_000] + old[350_000:] + noise.randbytes(40_000))
    for at in range(0, 200_000, 3):
        new[at] = (new[at] + noise.choice((1, 2, 255))) % 256
    found = ((tiny, other), (old, bytes(new)), (b"a base of little", b"a file of little"))
    return tuple(Pair(b, a, frames.encode(b), patches.make(a, b)) for a, b in found)


def hostile(seed: int, number: int) -> Hostile:
    """Return the ``number``-th."""
    chance = random.Random(f"{seed}/{number}")
    family = chance.choice(FAMILIES)
    pair, kind = chance.choice(pairs()), chance.choice(KINDS)
    data = _FAMILIES[family](pair, kind, chance)
    base = pair.old if kind == "patch" else None
    return Hostile(number, family, pair, made(kind, data, base=base))


KINDS: Final[tuple[Kind, ...]] = ("zstd", "patch")


def flipped(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    data = bytearray(pair.honest(kind))
    for _ in range(chance.choice((1, 1, 1, 5))):
        data[_near(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(data)


def overwritten(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    data = bytearray(pair.honest(kind))
    word = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"\x01")) * chance.randrange(1, 9)
    at = _near(data, chance)
    data[at : at + len(word)] = word
    return bytes(data)


def truncated(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    data = pair.honest(kind)
    return data[: _near(data, chance)]


def moved(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    """Double, drop or displace a part."""
    data = pair.honest(kind)
    a, b, c = sorted(_near(data, chance) for _ in range(3))
    return chance.choice(
        (data[:b] + data[a:], data[:a] + data[b:], data[:a] + data[b:c] + data[a:b] + data[c:])
    )


def swapped(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    """What is whole, and of another file, of the other kind, or the wrong way round."""
    other = chance.choice([one for one in pairs() if one is not pair])
    return chance.choice(
        (other.honest(kind), pair.patch if kind == "zstd" else pair.zstd, pair.new, pair.old, b"")
    )


def rebased(pair: Pair, _: Kind, chance: random.Random) -> bytes:
    """What is made of another base than it says: of one that is a little like it, or not at all."""
    return _rebased(pairs().index(pair), chance.randrange(4))


@cache
def _rebased(which: int, how: int) -> bytes:
    pair = pairs()[which]
    base = bytearray(pair.old)
    base[how * (len(base) // 4)] ^= 255
    return patches.make(bytes(base) if how else pair.old[::-1], pair.new)


def crossed(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    """The head of one, the rest of another."""
    data, other = pair.honest(kind), chance.choice(pairs()).honest(chance.choice(KINDS))
    return data[: _near(data, chance)] + other[_near(other, chance) :]


def framed(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    """Frames by hand: of sizes, windows and blocks that are not so, or of nothing at all."""
    told = chance.choice((0, 1, 7, len(pair.new), PLAIN, PLAIN + 1, 2**31, 2**32 - 1))
    head = chance.choice(
        (
            b"\xa0" + told.to_bytes(4, "little"),
            b"\x20" + bytes([told & 255]),
            b"\x60" + (told & 0xFFFF).to_bytes(2, "little"),
            b"\xe0" + (told << 16 & 2**64 - 1).to_bytes(8, "little"),  # eight bytes of size
            b"\x80\xf8" + told.to_bytes(4, "little"),  # a window of its own, of gigabytes
            b"\xa4" + told.to_bytes(4, "little"),  # a checksum
            b"\xa3" + b"\xff" * 4 + told.to_bytes(4, "little"),  # a dictionary
        )
    )
    magic = chance.choice((_MAGIC, _MAGIC, _MAGIC, b"\x50\x2a\x4d\x18", b"\x25\xb5\x2f\xfd"))
    blocks = b"".join(_block(chance) for _ in range(chance.choice((1, 3, 100, 5000))))
    return (MAGIC if kind == "patch" else b"") + magic + head + blocks


def bombs(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    """What is small and would be large: runs of one byte, again and again."""
    size = chance.choice((2**17, 2**17 - 1, 2**21 - 1))
    block = (_RUN << 1 | size << 3).to_bytes(3, "little") + b"x"
    last = (1 | _RUN << 1 | size << 3).to_bytes(3, "little") + b"x"
    told = chance.choice((PLAIN, len(pair.new), 2**28, 2**32 - 1))
    frame = _MAGIC + b"\xa0" + told.to_bytes(4, "little") + block * chance.choice((7, 8, 9999))
    frame += last if chance.random() < 0.7 else b""
    if kind == "patch":
        return MAGIC + frame
    return frame * chance.choice((1, 50))


def empty(_: Pair, kind: Kind, chance: random.Random) -> bytes:
    """Blocks that make nothing, without an end."""
    how, size = chance.choice(((_RAW, 0), (_RUN, 0), (_COMPRESSED, 0), (_COMPRESSED, 2)))
    block = (how << 1 | size << 3).to_bytes(3, "little") + bytes(size)
    head = _MAGIC + b"\xa0" + PLAIN.to_bytes(4, "little")
    return (MAGIC if kind == "patch" else b"") + head + block * chance.choice((10, 300_000))


def tables(pair: Pair, _: Kind, chance: random.Random) -> bytes:
    """Pieces of sound frames whose tables say what cannot be: places, sizes, reaches."""
    sizes = (1, 8, LEAST, PIECE, PIECE + 8, len(pair.new), 2**40)
    places = (0, 1, len(pair.old) - 1, len(pair.old), 2**31, 2**32, 2**61)
    runs = tuple(
        Run(chance.choice(tuple(Way)), chance.choice(sizes), chance.choice(places), width)
        for width in chance.choices((1, 2, 4, 8), k=chance.randrange(1, 6))
    )
    reach = tuple(
        (chance.choice(places), chance.choice((0, 1, REACH, REACH + 1, 2**40)))
        for _ in range(chance.choice((0, 1, 3, 2000)))
    )
    words = Table(runs, chance.choice((None, reach))).to_bytes()
    made_of = [frames.compress(words[:PLAIN])]
    made_of += [frames.compress(bytes(n)) for n in chance.choices((1, LEAST, PIECE, PLAIN), k=2)]
    return MAGIC + b"".join(made_of)


def numbers(pair: Pair, kind: Kind, chance: random.Random) -> bytes:
    """Tables of numbers that are too long, cut short, or very many."""
    del kind
    words = bytearray()
    for _ in range(chance.choice((1, 5, 2000))):
        varint.write(words, chance.choice((0, 1, 16, 17, 2**32, 2**62, len(pair.new) << 4)))
    tail = chance.choice((b"", b"\x80", b"\xff" * 10, b"\x80" * 60_000, bytes(65_535)))
    return MAGIC + frames.compress(bytes(words) + tail)


def laborious(pair: Pair, _: Kind, chance: random.Random) -> bytes:
    """What is allowed, and as much work as can be had: each piece with a reach of its own."""
    count = chance.choice((1, 64, 1000))
    size = min(REACH, len(pair.old)) // count
    if not size:
        return MAGIC
    reach = tuple((chance.randrange(len(pair.old) - size + 1), size) for _ in range(count))
    at, out = 0, [MAGIC]
    while at < len(pair.new):
        here = min(LEAST, len(pair.new) - at, len(pair.old))
        table = Table((Run(Way.COPY, here, chance.randrange(len(pair.old) - here + 1)),), reach)
        out.append(frames.compress(table.to_bytes()))
        at += here
    return b"".join(out)


def _block(chance: random.Random) -> bytes:
    size = chance.choice((0, 1, 2, 100, 2**17, 2**17 + 1, 2**21 - 1))
    how, last = chance.randrange(4), chance.random() < 0.1
    there = bytes(1 if how == _RUN else min(size, 300))
    return (last | how << 1 | size << 3).to_bytes(3, "little") + there


def _near(data: bytes | bytearray, chance: random.Random) -> int:
    """Return a place in it: half of them where it begins, for that says what follows."""
    return chance.randrange(min(len(data), 60) if chance.random() < 0.5 else len(data))


_FAMILIES: Final[dict[str, Callable[[Pair, Kind, random.Random], bytes]]] = {
    one.__name__: one
    for one in (
        flipped,
        overwritten,
        truncated,
        moved,
        swapped,
        rebased,
        crossed,
        framed,
        bombs,
        empty,
        tables,
        numbers,
        laborious,
    )
}
FAMILIES: Final = tuple(_FAMILIES)
