"""Unsigned LEB128."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.wire import varint


@given(st.lists(st.integers(0, 2**63 - 1)))
def test_what_was_written_is_read_back(values: list[int]) -> None:
    out = bytearray()
    for value in values:
        varint.write(out, value)
    found, at = [], 0
    for _ in values:
        value, at = varint.read(bytes(out), at)
        found.append(value)
    assert (found, at) == (values, len(out))


def test_small_numbers_take_one_byte() -> None:
    for value, size in ((0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3)):
        out = bytearray()
        varint.write(out, value)
        assert len(out) == size


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"\xff\xff", b"\xff" * 9 + b"\x01", b"\x80" * 10 + b"\x01", b"\xff" * 1000],
)
def test_a_number_cut_short_or_too_great_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="a number"):
        varint.read(data, 0)


def test_a_negative_number_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="range"):
        varint.write(bytearray(), -1)
