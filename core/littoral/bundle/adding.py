"""Adds two rows of bytes, without numpy: what a patch asks of a device.

A row is read as long numbers, little-endian, of 32 KiB each (the last may be shorter), and those
are added: to what was there comes what travels, less a row of 0x80, and what is carried beyond a
long number's end is dropped. Less 0x80, for then a small difference of either sign is a byte near
0x80 that carries nothing to its neighbour, whether the numbers of which a row is made have one
byte or eight: nobody has to keep them apart.

The long numbers are libgmp's, which every Debian has (its coreutils need it), at a twelfth of what
Python's own cost; where it is missing the result is the same.
"""

import ctypes
import sys
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

WIDTHS: Final = (1, 2, 4, 8)
_LONG: Final = 2**15  # bytes of a long number: three of them stay in a processor's near cache
_MIDDLE: Final = b"\x80" * _LONG


def ready() -> None:
    """Load now whatever adds: where nothing may be opened any more, that would be too late."""
    _libgmp()


def add(row: bytearray, other: bytearray, *, size: int) -> None:
    """Add what travelled to the first ``size`` bytes of ``row``, in place."""
    if gmp := _libgmp():
        gmp.add(row, other, size)
        return
    for at, long in _longs(size):
        here = slice(at, at + long)
        row[here] = _wrapped(_number(row[here]) + _number(other[here]) - _middle(long), long)


def less(row: bytes, other: bytes) -> bytes:
    """Return what has to travel so that ``add`` makes ``row`` of ``other``: as long."""
    return b"".join(
        _wrapped(_number(one) - _number(another) + _middle(long), long)
        for at, long in _longs(len(row))
        for one, another in [(row[at : at + long], other[at : at + long])]
    )


def gathered(planes: bytes, *, width: int) -> bytes:
    """Return the row of which ``planes`` holds all first bytes, then all second ones, and so on."""
    if width == 1:
        return planes
    row, count = bytearray(len(planes)), len(planes) // width
    for k in range(width):
        row[k::width] = planes[k * count : (k + 1) * count]
    return bytes(row)


def _longs(size: int) -> Iterator[tuple[int, int]]:
    """Walk where each long number of a row begins, and its size."""
    return ((at, min(_LONG, size - at)) for at in range(0, size, _LONG))


def _number(row: bytes | bytearray) -> int:
    return int.from_bytes(row, "little")


@lru_cache(maxsize=1)  # most are of the same size
def _middle(size: int) -> int:
    return _number(_MIDDLE[:size])


def _wrapped(number: int, size: int) -> bytes:
    return (number & (1 << 8 * size) - 1).to_bytes(size, "little")


class _Libgmp:
    """The two functions of libgmp that are needed."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libgmp.so.10")
        self._limb = ctypes.c_int.in_dll(library, "__gmp_bits_per_limb").value // 8
        self._plus, self._minus = library["__gmpn_add_n"], library["__gmpn_sub_n"]
        pointer = ctypes.c_void_p
        for call in (self._plus, self._minus):
            call.argtypes, call.restype = [pointer, pointer, pointer, ctypes.c_long], ctypes.c_ulong

    def add(self, row: bytearray, other: bytearray, size: int) -> None:
        plus, minus, limb = self._plus, self._minus, self._limb
        kept = [ctypes.c_char.from_buffer(one) for one in (row, other)]  # while it lasts
        x, y = map(ctypes.addressof, kept)
        for at, long in _longs(size):
            here, (limbs, rest), carried = x + at, divmod(long, limb), 0
            if limbs:
                carried = plus(here, here, y + at, limbs) - minus(here, here, _MIDDLE, limbs)
            if rest:
                end = slice(at + long - rest, at + long)
                total = _number(row[end]) + _number(other[end]) - _middle(rest) + carried
                row[end] = _wrapped(total, rest)


@cache
def _libgmp() -> _Libgmp | None:
    if sys.byteorder != "little":
        return None
    try:
        return _Libgmp()
    except (OSError, AttributeError, ValueError):
        return None
