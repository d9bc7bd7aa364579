"""A patch: how a file comes about from an older one, its base. docs/encodings.md draws it.

The device knows three ways and nothing of models: a run of bytes is copied from the base, added
to the base's, or new. What makes a patch small, the knowledge of tensors, was the publisher's.

A patch is ``lpt1`` and then pieces, each of at most 256 KiB of the file, in the file's order. A
piece is one to three frames of zstd: its table, all that is added, all that is new. The table is
varints: the reach (which ranges of the base the new bytes may refer to), then the runs. Added
and new numbers of several bytes travel with all their first bytes in front; what is added is 0x80
where nothing changes, in each of a number's bytes (``adding``).
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import accumulate
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
_LARGE: Final = 0x80  # numbers below are the byte that they travel as, which most are
_STEP: Final = 2**16  # bytes that are read of the base or given out together
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

    def travelling(self, way: Way) -> list[int]:
        """Return which runs of ``way`` there are, in the order in which their bytes travel."""
        runs = self.runs
        which = [k for k in range(len(runs)) if runs[k].way is way]
        return sorted(which, key=lambda k: runs[k].width)

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
        number, at = (data[at], at + 1) if data[at] < _LARGE else varint.read(data, at)
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
    maker = _Maker(read, base)
    while size:
        made = maker.piece(size)
        for at in range(0, len(made), _STEP):
            yield bytes(made[at : at + _STEP])
        size -= len(made)
    if read(1):
        raise EndlessError("the patch", limit=0)


class _Maker:
    """Makes piece after piece in the same memory: to get some anew takes longer than to fill it."""

    __slots__ = ("_base", "_made", "_plain", "_reaching", "_read", "_row", "_travelled")

    def __init__(self, read: frames.Read, base: Base) -> None:
        self._read, self._base = read, base
        self._plain = self._reaching = frames.Reader()
        self._row, self._travelled, self._made = (bytearray(PIECE) for _ in range(3))

    def piece(self, left: int) -> memoryview:
        """Return the next piece, which is there until the next one is asked for."""
        words = self._plain.frame(self._read, most=_TABLE)
        table = Table.from_bytes(words, most=min(left, PIECE))
        size = table.size
        if size < min(left, LEAST):
            raise MalformedError(f"a patch: a piece that makes {size} bytes of {left}")
        if table.reach is not None:
            self._reaching = self._plain  # first let go of the last one, which holds as much
            self._reaching = frames.Reader(_reached(self._base, table.reach))
        places = list(accumulate((run.size for run in table.runs), initial=0))
        self._add(table, places)
        self._renew(table, places)
        for run, at in zip(table.runs, places, strict=False):
            if run.way is Way.COPY:
                self._hold(self._made, at, run)
        return memoryview(self._made)[:size]

    def _add(self, table: Table, places: list[int]) -> None:
        which, at = table.travelling(Way.ADD), 0
        if not which:
            return
        for k in which:
            self._hold(self._row, at, table.runs[k])
            at += table.runs[k].size
        self._travel(self._plain, [table.runs[k] for k in which])
        adding.add(self._row, self._travelled, size=at)
        self._place(self._row, table, which, places)

    def _renew(self, table: Table, places: list[int]) -> None:
        if which := table.travelling(Way.NEW):
            self._travel(self._reaching, [table.runs[k] for k in which])
            self._place(self._travelled, table, which, places)

    def _hold(self, room: bytearray, at: int, run: Run) -> None:
        """Put into ``room`` what the base holds for ``run``."""
        for begin in range(0, run.size, _STEP):
            size = min(_STEP, run.size - begin)
            room[at + begin : at + begin + size] = _part(self._base, run.at + begin, size)

    def _travel(self, reader: frames.Reader, runs: list[Run]) -> None:
        """Read what the next frame holds of ``runs``, number by number."""
        room = memoryview(self._travelled)
        reader.frame_into(self._read, room[: sum([run.size for run in runs])])
        if runs[-1].width == 1:
            return
        at = 0
        for width in WIDTHS:
            end = at + sum([run.size for run in runs if run.width == width])
            if width > 1:
                room[at:end] = adding.gathered(bytes(room[at:end]), width=width)
            at = end

    def _place(self, row: bytearray, table: Table, which: list[int], places: list[int]) -> None:
        """Put each run of ``row`` where it belongs in the piece."""
        view, at = memoryview(row), 0
        for k in which:
            size = table.runs[k].size
            self._made[places[k] : places[k] + size] = view[at : at + size]
            at += size


def _reached(base: Base, reach: tuple[Range, ...]) -> bytearray:
    """Return what the base holds in all parts of ``reach``, which is in memory once."""
    found = bytearray()
    for part in reach:
        found += _part(base, *part)
    return found


def _part(base: Base, at: int, size: int) -> bytes:
    found = base(at, size)
    if len(found) != size:
        raise MalformedError(f"a patch: the base has no {size} bytes at {at}")
    return found
