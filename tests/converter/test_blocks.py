"""Where a frame is cut: at the places where another kind of numbers begins."""

import io

import numpy as np
import pytest

from littoral.bundle import frames
from littoral_converter import blocks

RNG = np.random.default_rng(1)


def numbers(width: float, size: int) -> bytes:
    return RNG.normal(0, width, size).round().astype(np.int8).tobytes()


def test_a_block_ends_where_the_numbers_change() -> None:
    plain = numbers(1, 3 * 2048) + numbers(20, 5 * 2048) + numbers(2, 3 * 2048)
    assert blocks.best(plain) == [0, 3 * 2048, 8 * 2048, 11 * 2048]


def test_what_is_all_of_a_kind_is_not_cut() -> None:
    assert blocks.best(numbers(8, 20_000)) == [0, 20_000]


def test_no_block_is_as_long_as_zstds_own() -> None:
    edges = blocks.best(bytes(2**20))
    assert max(np.diff(edges)) < 2**17


@pytest.mark.parametrize("size", [1, 2047, 2048, 2049, 2**17, 2**18])
@pytest.mark.parametrize("reach", [b"", b"reach" * 100])
def test_a_frame_in_its_best_blocks_is_a_frame(size: int, reach: bytes) -> None:
    for plain in (bytes(size), numbers(3, size), RNG.bytes(size)):
        frame = blocks.compress(plain, reach)
        assert frames.Reader(reach).frame(io.BytesIO(frame).read) == plain


def test_blocks_make_a_frame_smaller() -> None:
    plain = numbers(0.4, 8192) + numbers(20, 8192) + numbers(0.4, 8192)
    assert len(blocks.compress(plain)) < len(frames.compress(plain))
