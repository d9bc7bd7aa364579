"""Adds two rows of numbers, element by element, without numpy: what a patch asks of a device.

A row is bytes: unsigned numbers of 1, 2, 4 or 8 bytes, little-endian, that wrap. They are added
many at once, as one long number whose carries are kept from crossing into a neighbour. Numbers
of one byte are nearly all of a model: for them the long number is libgmp's, which every Debian
has (its coreutils need it), at a quarter of what Python's own costs; where it is missing the
result is the same.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

WIDTHS: Final = (1, 2, 4, 8)
_STEP: Final = 2**15  # bytes that are added at once: they stay in the processor's nearest cache


def ready() -> None:
    """Load now whatever adds: where nothing may be opened any more, that would be too late."""
    _libgmp()


def add(row: bytes, other: bytes, *, width: int) -> bytes:
    """Return the sums of two rows, which are equally long."""
    gmp = _libgmp() if width == 1 else None
    step = gmp.adder() if gmp else lambda a, b: _sums(a, b, width)
    return b"".join(step(a, b) for a, b in zip(_steps(row), _steps(other), strict=True))


def unfolded(row: bytes, *, width: int) -> bytes:
    """Return signed numbers that were folded: 0, -1, 1, -2 and so on are 0, 1, 2, 3 there."""
    return b"".join(_unfolded(step, width) for step in _steps(row))


def gathered(planes: bytes, *, width: int) -> bytes:
    """Return the row of which ``planes`` holds all first bytes, then all second ones, and so on."""
    if width == 1:
        return planes
    row, count = bytearray(len(planes)), len(planes) // width
    for k in range(width):
        row[k::width] = planes[k * count : (k + 1) * count]
    return bytes(row)


def _steps(row: bytes) -> Iterator[bytes]:
    return (row[at : at + _STEP] for at in range(0, len(row), _STEP))


@cache
def _every(number: int, width: int) -> int:
    """Return the long number whose every element is ``number``."""
    return int.from_bytes(number.to_bytes(width, "little") * (_STEP // width), "little")


def _sums(row: bytes, other: bytes, width: int) -> bytes:
    x, y = int.from_bytes(row, "little"), int.from_bytes(other, "little")
    top = 1 << 8 * width - 1
    low, high = _every(top - 1, width), _every(top, width)
    return (((x & low) + (y & low)) ^ ((x ^ y) & high)).to_bytes(len(row), "little")


def _unfolded(row: bytes, width: int) -> bytes:
    folded = int.from_bytes(row, "little")
    negative = folded & _every(1, width)
    ones = (negative << 8 * width) - negative
    low = _every((1 << 8 * width - 1) - 1, width)
    return (folded >> 1 & low ^ ones).to_bytes(len(row), "little")


class _Libgmp:
    """The three functions of libgmp that are needed, on rows of at most ``_STEP`` bytes."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libgmp.so.10")
        self._limb = ctypes.c_int.in_dll(library, "__gmp_bits_per_limb").value // 8
        self._plus, self._and, self._xor = (
            library[f"__gmpn_{name}_n"] for name in ("add", "and", "xor")
        )
        pointer = ctypes.c_void_p
        for call in (self._plus, self._and, self._xor):
            call.argtypes, call.restype = [pointer, pointer, pointer, ctypes.c_long], None
        self._room = ctypes.c_char * _STEP
        self._low, self._high = (self._room.from_buffer_copy(m * _STEP) for m in (b"\x7f", b"\x80"))

    def adder(self) -> Callable[[bytes, bytes], bytes]:
        """Return what adds rows of bytes, in memory of its own."""
        x, y, top = self._room(), self._room(), self._room()
        left, right = memoryview(x).cast("B"), memoryview(y).cast("B")

        def sums(row: bytes, other: bytes) -> bytes:
            left[: len(row)], right[: len(row)] = row, other
            limbs = -(-len(row) // self._limb)  # what stands behind the row is added in vain
            self._xor(top, x, y, limbs)
            self._and(top, top, self._high, limbs)
            self._and(x, x, self._low, limbs)
            self._and(y, y, self._low, limbs)
            self._plus(x, x, y, limbs)
            self._xor(x, x, top, limbs)
            return bytes(left[: len(row)])

        return sums


@cache
def _libgmp() -> _Libgmp | None:
    if sys.byteorder != "little":
        return None
    try:
        return _Libgmp()
    except (OSError, AttributeError, ValueError):
        return None
