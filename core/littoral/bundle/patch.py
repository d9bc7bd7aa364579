"""A patch: how a file comes about from an older one, its base. docs/encodings.md draws it.

The device knows three ways and nothing of models: a run of bytes is copied from the base, added
to the base's, or new. What makes a patch small, the knowledge of tensors, was the publisher's.

A patch is ``lpt1`` and then pieces, each of at most 256 KiB of the file, in the file's order. A
piece is one to three frames of zstd: its table, all that is added, all that is new. The table is
varints: the reach (which ranges of the base the new bytes may refer to), then the runs. Added
and new numbers of several bytes travel with all their first bytes in front, and what is added is
folded, so that small numbers of both signs have zeros in the same places.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from io import BytesIO
from typing import Final, NamedTuple

from littoral.bundle import adding, frames
from littoral.bundle.adding import WIDTHS
from littoral.errors import EndlessError, MalformedError
from littoral.wire import varint

MAGIC: Final = b"lpt1"
PIECE: Final = 2**18  # the most that a piece makes of the file
LEAST: Final = 2**15  # the least, of all pieces but the last: each may read a reach of its own
REACH: Final = 2**20  # the most that its new bytes may refer to
_TABLE: Final = 2**16
_FARTHEST: Final = 2**32  # manifest.MAX_FILE_BYTES, which a decoder does not load

Base = Callable[[int, int], bytes]  # (at, size): what the base holds there; less at its end
Range = tuple[int, int]  # at, size


class Way(IntEnum):
    COPY = 0  # as it stands in the base
    ADD = 1  # to what stands in the base
    NEW = 2


class Run(NamedTuple):
    """Bytes of the file that come about in one way."""

    way: Way
    size: int
    at: int = 0  # in the base; of what is new, 0
    width: int = 1  # of its numbers


_WAYS: Final = tuple(Way)


class Table(NamedTuple):
    """What makes a piece. Without a reach of its own, the one before goes on."""

    runs: tuple[Run, ...]
    reach: tuple[Range, ...] | None = None

    @property
    def size(self) -> int:
        return sum(run.size for run in self.runs)

    def of(self, way: Way, width: int) -> list[Run]:
        return [run for run in self.runs if run.way is way and run.width == width]

    def to_bytes(self) -> bytes:
        out, here = bytearray(), 0
        varint.write(out, 0 if self.reach is None else len(self.reach) + 1)
        for at, size in self.reach or ():
            varint.write(out, varint.fold(at - here))
            varint.write(out, size)
            here = at + size
        here = 0
        for run in self.runs:
            varint.write(out, run.size << 4 | WIDTHS.index(run.width) << 2 | run.way)
            if run.way is not Way.NEW:
                varint.write(out, varint.fold(run.at - here))
                here = run.at + run.size
        return bytes(out)

    @classmethod
    def from_bytes(cls, data: bytes, *, most: int) -> "Table":
        """Read what ``to_bytes`` wrote, for a piece of at most ``most`` bytes.

        Raises:
            MalformedError: It is none, or makes more.

        """
        numbers = _numbers(data)
        try:
            reach = _reach(numbers)
            return cls(tuple(_runs(numbers, most=most)), reach)
        except (ValueError, IndexError) as e:
            raise MalformedError(f"a patch's table cannot be read: {e}") from e


def _numbers(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = varint.read(data, at)
        yield number


def _one(numbers: Iterator[int]) -> int:
    for number in numbers:
        return number
    raise ValueError("a number is missing")


def _place(here: int, away: int) -> int:
    at = here + varint.unfold(away)
    if not 0 <= at <= _FARTHEST:
        raise ValueError(f"no file has anything at {at}")
    return at


def _reach(numbers: Iterator[int]) -> tuple[Range, ...] | None:
    count, here, room, parts = _one(numbers), 0, REACH, []
    for _ in range(count - 1):
        at, size = _place(here, _one(numbers)), _one(numbers)
        here, room = at + size, room - size
        if not size or room < 0:
            raise ValueError(f"a reach of more than {REACH} bytes, or of an empty part")
        parts.append((at, size))
    return tuple(parts) if count else None


def _runs(numbers: Iterator[int], *, most: int) -> Iterator[Run]:
    here = 0
    for word in numbers:
        way, width, size, at = _WAYS[word & 3], WIDTHS[word >> 2 & 3], word >> 4, 0
        most -= size
        if most < 0 or not size or size % width:
            raise ValueError(f"a run of {size} bytes, {width} each, {-most} too many")
        if way is not Way.NEW:
            at = _place(here, _one(numbers))
            here = at + size
        yield Run(way, size, at, width)


def apply(read: frames.Read, base: Base, *, size: int) -> Iterator[bytes]:
    """Walk the bytes of the file, ``size`` in all, that the patch makes of ``base``.

    Raises:
        MalformedError: This is no patch, or none of that base, or not one of ``size`` bytes.
        EndlessError: It goes on behind that.

    """
    if frames.exactly(read, len(MAGIC)) != MAGIC:
        raise MalformedError("this is no patch: it does not begin with lpt1")
    plain = reaching = frames.Reader()
    while size:
        table = Table.from_bytes(plain.frame(read, most=_TABLE), most=min(size, PIECE))
        if table.size < min(size, LEAST):
            raise MalformedError(f"a patch: a piece that makes {table.size} bytes of {size}")
        if table.reach is not None:
            reaching = frames.Reader(b"".join(_part(base, *part) for part in table.reach))
        rows = _added(read, base, plain, table) | _new(read, reaching, table)
        for run in table.runs:
            if run.way is Way.COPY:
                yield _part(base, run.at, run.size)
            else:
                yield rows[run.way, run.width].read(run.size)
        size -= table.size
    if read(1):
        raise EndlessError("the patch", limit=0)


_Rows = dict[tuple[Way, int], BytesIO]


def _added(read: frames.Read, base: Base, reader: frames.Reader, table: Table) -> _Rows:
    rows: _Rows = {}
    for width, planes in _planes(read, reader, table, Way.ADD):
        other = adding.gathered(planes, width=width)
        if width > 1:
            other = adding.unfolded(other, width=width)
        row = b"".join(_part(base, run.at, run.size) for run in table.of(Way.ADD, width))
        rows[Way.ADD, width] = BytesIO(adding.add(row, other, width=width))
    return rows


def _new(read: frames.Read, reader: frames.Reader, table: Table) -> _Rows:
    return {
        (Way.NEW, width): BytesIO(adding.gathered(planes, width=width))
        for width, planes in _planes(read, reader, table, Way.NEW)
    }


def _planes(
    read: frames.Read, reader: frames.Reader, table: Table, way: Way
) -> Iterator[tuple[int, bytes]]:
    """Walk what the piece's frame of ``way`` holds, by the width of its numbers."""
    sizes = {width: sum(run.size for run in table.of(way, width)) for width in WIDTHS}
    frame = b""
    if sum(sizes.values()):
        frame = reader.frame(read, size=sum(sizes.values()))
    at = 0
    for width, size in sizes.items():
        if size:
            yield width, frame[at : at + size]
        at += size


def _part(base: Base, at: int, size: int) -> bytes:
    found = base(at, size)
    if len(found) != size:
        raise MalformedError(f"a patch: the base has no {size} bytes at {at}")
    return found
