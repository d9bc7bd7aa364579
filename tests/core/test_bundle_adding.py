"""Rows of numbers added without numpy: as numpy adds them, by either way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle import adding

LONG = 2**15  # told here once more: whoever has an older patch counts on it
SIZES = (*range(1, 40), LONG - 1, LONG, LONG + 1, LONG + 8, 3 * LONG - 3)


@pytest.fixture(params=["libgmp", "python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(adding, "_libgmp", lambda: None)
    elif adding._libgmp() is None:
        pytest.skip("no libgmp here")
    return str(request.param)


def rows(size: int) -> tuple[bytes, bytes]:
    """Return two rows: where carries are made, and go on for long, and where all is by chance."""
    rng = np.random.default_rng(size)
    ends = b"\x00" * 9 + b"\xff" * 9 + b"\x80" * 9 + b"\x7f" * 9
    return (ends + rng.bytes(size))[:size], (ends[::-1] + rng.bytes(size))[:size]


def added(row: bytes, other: bytes) -> bytes:
    """Return the sums, with something behind both rows, which has to stay as it is."""
    behind = b"stays as it is"
    room = bytearray(row + behind)
    adding.add(room, bytearray(other + behind), size=len(row))
    assert room[len(row) :] == behind
    return bytes(room[: len(row)])


def sums(row: bytes, other: bytes) -> bytes:
    out = b""
    for at in range(0, len(row), LONG):
        one, two = (int.from_bytes(each[at : at + LONG], "little") for each in (row, other))
        size = len(row[at : at + LONG])
        middle = int.from_bytes(b"\x80" * size, "little")
        out += ((one + two - middle) % 256**size).to_bytes(size, "little")
    return out


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", SIZES)
def test_long_numbers_are_added_and_each_by_itself(size: int) -> None:
    row, other = rows(size)
    assert added(row, other) == sums(row, other)
    assert added(other, row) == sums(other, row)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", SIZES)
def test_what_travels_makes_one_row_of_the_other(size: int) -> None:
    row, other = rows(size)
    assert added(other, adding.less(row, other)) == row


@given(row=st.lists(st.integers(100, 150)), drift=st.integers(-100, 100))
def test_a_small_difference_carries_nothing_to_its_neighbour(row: list[int], drift: int) -> None:
    other = [number + drift for number in row]
    assert adding.less(bytes(other), bytes(row)) == bytes([0x80 + drift]) * len(row)


def test_differences_of_wide_numbers_are_near_the_middle() -> None:
    base = np.random.default_rng(1).integers(-(2**31), 2**31, 1000).astype("<i4")
    less = np.frombuffer(adding.less((base + 100).tobytes(), base.tobytes()), np.uint8)
    assert (less.reshape(-1, 4)[:, 1:] == 0x80).mean() > 0.99


def test_planes_are_gathered() -> None:
    assert adding.gathered(b"adbecf", width=2) == b"aedcbf"
    assert adding.gathered(b"abcdefgh", width=8) == b"abcdefgh"
    assert adding.gathered(b"abc", width=1) == b"abc"
