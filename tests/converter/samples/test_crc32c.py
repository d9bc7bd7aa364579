import random

import pytest

from littoral_converter.samples.crc32c import _loop, crc32c, masked


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # of RFC 3720, and of the catalogue of checksums
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_known_checksums(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@pytest.mark.parametrize("size", [4095, 4096, 4097, 4351, 4352, 70_001])
def test_long_data_has_the_checksum_that_a_loop_gives(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc32c(data) == _loop(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def test_one_bit_is_seen_anywhere() -> None:
    data = bytearray(random.Random(0).randbytes(5000))
    whole = masked(bytes(data))
    for at in range(0, 5000, 97):
        data[at] ^= 4
        assert masked(bytes(data)) != whole
        data[at] ^= 4
