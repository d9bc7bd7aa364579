"""Rows of numbers added without numpy: as numpy adds them, by either way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.bundle import adding

SIZES = (8, 24, adding._STEP, adding._STEP + 8, 3 * adding._STEP - 8)


@pytest.fixture(params=["libgmp", "python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "python":
        monkeypatch.setattr(adding, "_libgmp", lambda: None)
    elif adding._libgmp() is None:
        pytest.skip("no libgmp here")
    return str(request.param)


def rows(size: int, width: int) -> tuple[bytes, bytes]:
    rng = np.random.default_rng(size)
    one, other = rng.bytes(size), rng.bytes(size)
    ends = b"\xff" * width + b"\x80" * width + b"\x7f" * width  # where carries are made
    return ends[:size] + one[len(ends) :], ends[::-1][:size] + other[len(ends) :]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("width", adding.WIDTHS)
@pytest.mark.parametrize("size", SIZES)
def test_sums_wrap_and_no_carry_reaches_a_neighbour(size: int, width: int) -> None:
    one, other = (row[:size] for row in rows(size, width))
    sums = np.frombuffer(one, f"<u{width}") + np.frombuffer(other, f"<u{width}")
    assert adding.add(one, other, width=width) == sums.tobytes()


@pytest.mark.usefixtures("way")
def test_bytes_of_any_number_are_added() -> None:
    for size in range(40):
        one, other = (row[:size] for row in rows(48, 1))
        assert adding.add(one, other, width=1) == bytes(
            (a + b) % 256 for a, b in zip(one, other, strict=True)
        )


@pytest.mark.parametrize("width", adding.WIDTHS[1:])
@given(data=st.data())
def test_folded_numbers_come_back(width: int, data: st.DataObject) -> None:
    limit = 1 << 8 * width - 1
    numbers = data.draw(st.lists(st.integers(-limit, limit - 1)))
    folded = [2 * n if n >= 0 else -2 * n - 1 for n in numbers]
    row = b"".join(n.to_bytes(width, "little") for n in folded)
    assert adding.unfolded(row, width=width) == b"".join(
        n.to_bytes(width, "little", signed=True) for n in numbers
    )


def test_a_long_row_is_unfolded_in_steps() -> None:
    numbers = np.random.default_rng(1).integers(-(2**31), 2**31, adding._STEP, np.int32)
    folded = (numbers << 1) ^ (numbers >> 31)
    assert adding.unfolded(folded.tobytes(), width=4) == numbers.tobytes()


def test_planes_are_gathered() -> None:
    assert adding.gathered(b"adbecf", width=2) == b"aedcbf"
    assert adding.gathered(b"abcdefgh", width=8) == b"abcdefgh"
    assert adding.gathered(b"abc", width=1) == b"abc"
