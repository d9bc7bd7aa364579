"""CRC-32C, by which TFRecords tell damage. Of long data many parts at once, in NumPy."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL: Final = 0x82F63B78
_LONG: Final = 4096  # bytes from which on NumPy is quicker than a loop
_PART: Final = 256

Words = NDArray[np.uint32]


@cache
def _table() -> Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


@cache
def _plain_table() -> tuple[int, ...]:
    return tuple(_table().tolist())


@cache
def _beyond() -> tuple[tuple[int, ...], ...]:
    """Return what each byte of a register becomes when _PART zeros follow."""
    tables = []
    for shift in (0, 8, 16, 24):
        register = np.arange(256, dtype=np.uint32) << np.uint32(shift)
        for _ in range(_PART):
            register = _table()[register & 0xFF] ^ (register >> 8)
        tables.append(tuple(register.tolist()))
    return tuple(tables)


def crc32c(data: bytes) -> int:
    """Return the checksum of ``data``."""
    if len(data) < _LONG:
        return _loop(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    head = len(data) % _PART
    register = _loop(data[:head], 0xFFFFFFFF)
    rest = np.frombuffer(data, np.uint8, offset=head).reshape(-1, _PART)
    table, parts = _table(), np.zeros(len(rest), np.uint32)
    for column in np.ascontiguousarray(rest.T):
        parts = table[(parts ^ column) & 0xFF] ^ (parts >> 8)
    # The checksum of a whole is made of those of its parts: each moves on by those behind it.
    first, second, third, fourth = _beyond()
    for part in parts.tolist():
        moved = first[register & 0xFF] ^ second[register >> 8 & 0xFF]
        register = moved ^ third[register >> 16 & 0xFF] ^ fourth[register >> 24] ^ part
    return register ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """Return the checksum as TFRecords store it: changed, lest it be taken for data's own."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _loop(data: bytes, register: int) -> int:
    table = _plain_table()
    for byte in data:
        register = table[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register
