"""A patch by hand: what its runs make, and what is refused of one that nobody honest made."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle import frames, patch
from littoral.bundle.adding import WIDTHS
from littoral.bundle.patch import LEAST, MAGIC, PIECE, REACH, Run, Table, Way
from littoral.errors import EndlessError, MalformedError

BASE = random.Random(1).randbytes(1000)


def applied(data: bytes, size: int, base: bytes = BASE) -> bytes:
    def at(where: int, length: int) -> bytes:
        return base[where : where + length]

    return b"".join(patch.apply(io.BytesIO(data).read, at, size=size))


def piece(*runs: Run, added: bytes = b"", new: bytes = b"", reach: bytes = b"") -> bytes:
    table = Table(runs, ((0, len(reach)),) if reach else None)
    out = frames.compress(table.to_bytes())
    out += frames.compress(added) if added else b""
    return out + (frames.compress(new, reach) if new else b"")


def test_what_is_copied_added_and_new() -> None:
    runs = Run(Way.COPY, 10, 500), Run(Way.ADD, 4, 20), Run(Way.NEW, 5), Run(Way.COPY, 1, 0)
    made = applied(MAGIC + piece(*runs, added=b"\x81\x80\x7f\x82", new=b"fresh"), 20)
    sums = bytes((b + d) % 256 for b, d in zip(BASE[20:24], (1, 0, 255, 2), strict=True))
    assert made == BASE[500:510] + sums + b"fresh" + BASE[:1]


def test_wide_numbers_travel_first_bytes_first() -> None:
    base = (1000).to_bytes(4, "little") + (70000).to_bytes(4, "little")
    # 1 less and 256 more, each byte with 0x80 more.
    added = bytes((0x7F, 0x80, 0x80, 0x81, 0x80, 0x80, 0x80, 0x80))
    runs = Run(Way.ADD, 8, 0, 4), Run(Way.NEW, 4, 0, 2)
    made = applied(MAGIC + piece(*runs, added=added, new=b"acbd"), 12, base)
    assert made == (999).to_bytes(4, "little") + (70256).to_bytes(4, "little") + b"abcd"


def test_runs_of_several_widths_share_a_frame_narrow_ones_first() -> None:
    runs = Run(Way.NEW, 2, 0, 2), Run(Way.NEW, 3), Run(Way.NEW, 2, 0, 2)
    assert applied(MAGIC + piece(*runs, new=b"abc" + b"1324"), 7) == b"12abc34"


def test_a_reach_goes_on_until_there_is_another() -> None:
    base = random.Random(2).randbytes(2 * LEAST)
    new = base[100:400]
    first = piece(Run(Way.NEW, 300), Run(Way.COPY, LEAST, 1), new=new, reach=base[:1000])
    later = Table((Run(Way.NEW, 300),))
    data = MAGIC + first + frames.compress(later.to_bytes()) + frames.compress(new, base[:1000])
    assert len(data) < 150
    assert applied(data, LEAST + 600, base) == new + base[1 : LEAST + 1] + new


def test_a_piece_that_makes_little_is_refused_unless_it_is_the_last() -> None:
    base = bytes(LEAST + 1)
    assert applied(MAGIC + piece(Run(Way.COPY, 9)), 9, base) == bytes(9)
    pieces = piece(Run(Way.COPY, LEAST - 1)) + piece(Run(Way.COPY, 2))
    with pytest.raises(MalformedError, match="a piece that makes 32767 bytes of 32769"):
        applied(MAGIC + pieces, LEAST + 1, base)


def test_pieces_follow_one_another() -> None:
    base = bytes(2 * PIECE)
    data = MAGIC + piece(Run(Way.COPY, PIECE)) + piece(Run(Way.COPY, 7, 3))
    assert applied(data, PIECE + 7, base) == bytes(PIECE + 7)


ranges = st.tuples(st.integers(0, 2**32), st.integers(1, 2**14))
tables = st.builds(
    Table,
    st.lists(
        st.builds(
            lambda way, count, at, width: Run(
                way, count * width, 0 if way is Way.NEW else at, width
            ),
            st.sampled_from(Way),
            st.integers(1, 1000),
            st.integers(0, 2**31),
            st.sampled_from(WIDTHS),
        ),
        min_size=1,
        max_size=20,
    ).map(tuple),
    st.none() | st.lists(ranges, max_size=20).map(tuple),
)


@given(table=tables)
def test_a_table_reads_back(table: Table) -> None:
    assert Table.from_bytes(table.to_bytes(), most=PIECE) == table


def words(*numbers: int) -> bytes:
    from littoral.wire import varint

    out = bytearray()
    for number in numbers:
        varint.write(out, number)
    return bytes(out)


COPY_EIGHT = 8 << 4
TABLES = {
    "empty": b"",
    "a run without its place": words(0, COPY_EIGHT),
    "a place before the base": words(0, COPY_EIGHT, 1),
    "a place behind every file": words(0, COPY_EIGHT, 2**40),
    "a run of nothing": words(0, 0, 0),
    "an unknown way": words(0, 8 << 4 | 3, 0),
    "numbers cut in two": words(0, 7 << 4 | 1 << 2 | 2),
    "more than there is to make": words(0, 9 << 4, 0),
    "as much as no file has": words(0, 2**62, 0),
    "a number that is cut short": words(0, COPY_EIGHT) + b"\x80",
    "a number that is too great": words(0) + b"\xff" * 10 + b"\x01",
    "a reach that is too large": words(2, 0, REACH + 1, COPY_EIGHT, 0),
    "a reach of many that are": words(3, 0, REACH, 0, 1, COPY_EIGHT, 0),
    "a reach's empty part": words(2, 0, 0, COPY_EIGHT, 0),
    "a reach that is cut short": words(9, 0, 1),
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_that_nobody_honest_makes_is_refused(what: str) -> None:
    with pytest.raises(MalformedError):
        Table.from_bytes(TABLES[what], most=8)


HONEST = MAGIC + piece(Run(Way.NEW, 5), Run(Way.COPY, 5, 7), new=b"fresh")
REFUSED = {
    "nothing": b"",
    "a piece of no runs": MAGIC + frames.compress(words(0)),
    "another magic": b"lpt2" + HONEST[4:],
    "only the magic": MAGIC,
    "a frame too few": HONEST[:-14],
    "too much in a frame": MAGIC + piece(Run(Way.NEW, 10), new=b"eleven, oh!"),
    "a copy beyond the base": MAGIC + piece(Run(Way.COPY, 10, 995)),
    "a difference from beyond the base": MAGIC + piece(Run(Way.ADD, 10, 995), added=b"x" * 10),
    "a reach beyond the base": MAGIC + piece(Run(Way.NEW, 10), new=b"x" * 10, reach=bytes(1001)),
    "a table of more than 64 KiB": MAGIC + frames.compress(words(0) + words(16, 0) * 40_000),
}


def test_the_patch_by_hand_is_one() -> None:
    assert applied(HONEST, 10) == b"fresh" + BASE[7:12]


@pytest.mark.parametrize("what", REFUSED)
def test_a_patch_that_nobody_honest_makes_is_refused(what: str) -> None:
    with pytest.raises(MalformedError):
        applied(REFUSED[what], 10)


def test_what_goes_on_behind_the_file_is_endless() -> None:
    with pytest.raises(EndlessError):
        applied(HONEST + b"x", 10)
    with pytest.raises(MalformedError, match="too many"):
        applied(HONEST, 9)


def test_a_piece_of_more_than_is_held_in_memory_is_refused() -> None:
    data = MAGIC + piece(Run(Way.COPY, PIECE + 1))
    with pytest.raises(MalformedError, match="1 too many"):
        applied(data, PIECE + 1, bytes(PIECE + 1))
