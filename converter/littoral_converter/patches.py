"""Makes a patch: finds for each part of a file what in an older one is most like it.

The knowledge of tensors is here, and the choice what is cheapest; the device that applies the
patch has neither. Each array goes by the one of its name, else by the one that stands in its
place; what lies between goes by its neighbours. Then it is weighed what a stretch costs as a
copy, as a difference and as new bytes, whole or by the bytes of its numbers, and the least wins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Final

import numpy as np
import zstandard

from littoral.bundle import adding, frames
from littoral.bundle.adding import WIDTHS
from littoral.bundle.patch import MAGIC, PIECE, Run, Table, Way
from littoral_converter import blocks
from littoral_converter.anatomy import Array, arrays
from littoral_converter.reach import Base

_WEIGHED: Final = 2**16  # bytes that one choice is made for
_FEW: Final = 32  # bytes
_MOST_RUNS: Final = 4096  # of a piece: its table is never too long, and it never too small
_LEVEL: Final = 9  # of zstd, when a choice is weighed


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the file, and where what is most like it begins in the base, if anywhere."""

    at: int
    size: int
    width: int
    like: int | None


def make(base: bytes, file: bytes) -> bytes:
    """Return the patch that makes ``file`` of ``base``."""
    out, at, last, whole = [MAGIC], 0, None, Base(base)
    for runs in _pieces(_joined(_runs(base, file))):
        table = Table(runs)
        plain = file[at : at + table.size]
        new = _planes(table, Way.NEW, base, plain)
        reach = whole.reach(new) if new else ()
        frame = blocks.compress(new, whole.read(reach)) if new else b""
        if new and reach != last:
            last, table = reach, table._replace(reach=reach)
        out += [frames.compress(table.to_bytes())]
        added = _planes(table, Way.ADD, base, plain)
        out += [blocks.compress(added) if added else b"", frame]
        at += table.size
    return b"".join(out)


def matched(old: list[Array], new: list[Array]) -> dict[Array, Array]:
    """Return, for each of ``new`` that has one, its like in ``old``: of the same size."""
    named = {(a.role, a.name, a.size): a for a in old}
    found = {a: named[a.role, a.name, a.size] for a in new if (a.role, a.name, a.size) in named}
    taken = set(found.values())
    rest, open_ = [a for a in old if a not in taken], [a for a in new if a not in found]
    kinds, others = ([(a.role, a.width, a.size) for a in side] for side in (rest, open_))
    for block in SequenceMatcher(None, kinds, others, autojunk=False).get_matching_blocks():
        for k in range(block.size):
            found[open_[block.b + k]] = rest[block.a + k]
    return found


def stretches(base: bytes, file: bytes) -> Iterator[Stretch]:
    """Walk the file: its arrays, and what lies between them."""
    new = arrays(file)
    likes = matched(arrays(base), new)
    end, after = 0, 0 if base else None  # in the file; in the base, behind what was like it
    for array in [*new, None]:
        at = len(file) if array is None else array.at
        like = len(base) if array is None else likes[array].at if array in likes else None
        if at > end:
            yield from _between(end, at, after, like, base=base, file=file)
        if array is not None:
            yield Stretch(at, array.size, array.width, like)
            end, after = array.end, None if like is None else like + array.size


def _between(
    start: int, end: int, after: int | None, before: int | None, *, base: bytes, file: bytes
) -> Iterator[Stretch]:
    """Walk what lies between two arrays, by the one before it or the one behind it."""
    size = end - start
    places = [after, None if before is None else before - size]
    part = np.frombuffer(file, np.uint8, size, start)

    def unlike(at: int) -> int:
        return int(np.count_nonzero(part != np.frombuffer(base, np.uint8, size, at)))

    inside = [at for at in places if at is not None and 0 <= at <= len(base) - size]
    yield Stretch(start, size, 1, min(inside, key=unlike, default=None))


def _runs(base: bytes, file: bytes) -> Iterator[Run]:
    """Walk the runs that make the file, each the cheapest for its stretch."""
    zstd = _weigher(base)
    for stretch in stretches(base, file):
        for at in range(0, stretch.size, _WEIGHED):
            size = min(_WEIGHED, stretch.size - at)
            plain = file[stretch.at + at : stretch.at + at + size]
            like = None if stretch.like is None else stretch.like + at
            yield _cheapest(base, plain, like, width=stretch.width, zstd=zstd)


def _cheapest(
    base: bytes, plain: bytes, like: int | None, *, width: int, zstd: zstandard.ZstdCompressor
) -> Run:
    size = len(plain)
    if like is not None and base[like : like + size] == plain:
        return Run(Way.COPY, size, like)
    choices = [Run(Way.NEW, size, 0, w) for w in sorted({1, width})]
    if like is not None:
        choices += [Run(Way.ADD, size, like, w) for w in sorted({1, width})]
    return min(
        choices, key=lambda run: len(zstd.compress(_planes(Table((run,)), run.way, base, plain)))
    )


def _weigher(base: bytes) -> zstandard.ZstdCompressor:
    """Return what compresses as a piece will be, or nearly: the base's skeleton may be used."""
    skeleton, end = [], 0
    for array in arrays(base):
        skeleton.append(base[end : array.at])
        end = array.end
    reach = b"".join((*skeleton, base[end:]))[-_WEIGHED:]
    return zstandard.ZstdCompressor(
        level=_LEVEL,
        dict_data=zstandard.ZstdCompressionDict(reach, dict_type=zstandard.DICT_TYPE_RAWCONTENT),
    )


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    """Walk ``runs``, with one for several that go on where the one before ends."""
    last: Run | None = None
    for run in runs:
        way = _together(last, run)
        if last is not None and way is not None:
            last = last._replace(way=way, size=last.size + run.size)
            continue
        if last is not None:
            yield last
        last = run
    if last is not None:
        yield last


def _together(last: Run | None, run: Run) -> Way | None:
    """Return as what ``last`` and ``run`` are one run, None if they are none."""
    if last is None or last.width != run.width:
        return None
    if run.way is Way.NEW or last.way is Way.NEW:
        return run.way if run.way is last.way else None
    if run.at != last.at + last.size:
        return None
    # A few equal bytes beside differences travel as zeros, in less than a run of their own takes.
    short = min((r.size for r in (last, run) if r.way is Way.COPY), default=0)
    return run.way if run.way is last.way else Way.ADD if short <= _FEW else None


def _pieces(runs: Iterable[Run]) -> Iterator[tuple[Run, ...]]:
    """Walk ``runs`` in pieces as large as can be, cutting what goes over an edge."""
    piece: list[Run] = []
    room = PIECE
    for run in runs:
        rest: Run | None = run
        while rest is not None:
            size = min(rest.size, room - room % rest.width)
            if size:
                piece.append(rest._replace(size=size))
            room -= size
            at = rest.at if rest.way is Way.NEW else rest.at + size
            rest = rest._replace(at=at, size=rest.size - size) if size < rest.size else None
            if rest is not None or not room or len(piece) == _MOST_RUNS:
                yield tuple(piece)
                piece, room = [], PIECE
    if piece:
        yield tuple(piece)


def _planes(table: Table, way: Way, base: bytes, plain: bytes) -> bytes:
    """Return what the piece's frame of ``way`` holds."""
    begins = [0, *accumulate(run.size for run in table.runs)]
    which = table.travelling(way)
    runs = [table.runs[k] for k in which]
    row = b"".join(plain[begins[k] : begins[k + 1]] for k in which)
    if way is Way.ADD:
        row = adding.less(row, b"".join(base[run.at : run.at + run.size] for run in runs))
    at, planes = 0, []
    for width in WIDTHS:
        end = at + sum(run.size for run in runs if run.width == width)
        planes.append(_spread(row[at:end], width))
        at = end
    return b"".join(planes)


def _spread(row: bytes, width: int) -> bytes:
    """Return the numbers of ``row`` as they travel: all first bytes in front."""
    return np.frombuffer(row, np.uint8).reshape(-1, width).T.tobytes()
