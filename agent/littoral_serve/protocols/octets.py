"""Lists of whole numbers from 0 to 255 in JSON, as pixels are, into arrays. Knows no protocol.

Brackets, commas and spaces are the marks of a list. They are compared with those that its shape
demands, and between them all digits are weighed at once, so that no number is ever an object.
"""

from functools import lru_cache
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Octets = NDArray[np.uint8]

_LEAST: Final = 4096  # numbers of one instance: of fewer, orjson is quicker
_MOST: Final = 512 * 1024  # of which no outline is remembered: they take six bytes a number
_PIECE_BYTES: Final = 32 * 1024  # of what is made of more, glibc maps some anew each time
_DIGITS: Final = 3
_TEN: Final = 10
_HUNDRED: Final = 100
_HIGHEST: Final = 255
_ODD: Final = (b".", b"-", b"t", b"n", b'"', b"{")


def read(text: bytes, instance: tuple[int, ...]) -> Octets | None:
    """Return the list ``text`` of elements of the shape ``instance``, flat.

    Without a shape it is a flat list. None: there are too few of them, or it is no list of such
    numbers, or one with other spaces than ``json.dumps`` makes.
    """
    if not text.startswith(b"[") or any(text.find(odd, 0, 64) >= 0 for odd in _ODD):
        return None  # most other lists show it at once
    shape = instance or (text.count(b",") + 1,)
    if not _LEAST <= prod(shape) <= _MOST:
        return None
    comma = b"," if text.find(b" ") < 0 else b", "
    outline = _outline(shape, comma)
    codes = np.frombuffer(text, np.uint8)
    if not instance:
        found = _one(codes, 0, outline)
        return found[0] if found is not None and found[1] == len(text) else None
    parts: list[Octets] = []
    at = 1
    while (found := _one(codes, at, outline)) is not None:
        part, end = found
        parts.append(part)
        if end == len(text) - 1 and text.endswith(b"]"):
            return part if len(parts) == 1 else np.concatenate(parts)
        if not text.startswith(comma, end):
            return None
        at = end + len(comma)
    return None


def _one(codes: Octets, at: int, outline: "_Outline") -> tuple[Octets, int] | None:
    """Return the numbers of the outline that begins ``at`` so many bytes, and where it ends."""
    numbers = np.empty(len(outline.before), np.uint8)
    mark = number = 0  # how many are known
    while True:
        most = len(outline.marks) - mark + _DIGITS * (len(outline.before) - number)
        piece = codes[at : at + min(_PIECE_BYTES, most)]  # it begins with a mark
        digits = piece - np.uint8(ord("0"))
        is_digit = digits < _TEN
        marks = np.flatnonzero(~is_digit)[: len(outline.marks) - mark]
        seen = mark + len(marks)
        if len(marks) <= 1 or not np.array_equal(piece.take(marks), outline.marks[mark:seen]):
            return None
        upto = int(outline.before.searchsorted(np.int32(seen - 1)))
        before = outline.before[number:upto] - mark
        ends = marks.take(before + 1)
        sizes = ends - marks.take(before) - 1
        last = int(marks[-1])
        if int(sizes.sum()) + len(marks) != last + 1:
            return None  # there are digits where no number may be
        values = _weighed(digits, is_digit).take(ends - 1)
        if not _sound(values, sizes):
            return None
        numbers[number:upto] = values
        at += last
        if seen == len(outline.marks):
            return numbers, at + 1
        mark, number = seen - 1, upto


def _weighed(digits: Octets, is_digit: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return for each digit what it and those of the two before it that are its number's make."""
    digits = digits * is_digit
    sums = digits.astype(np.uint16)
    sums[1:] += digits[:-1] * np.uint8(_TEN)
    sums[2:] += (digits[:-2] * is_digit[1:-1]) * np.uint16(_HUNDRED)
    return sums


def _sound(values: NDArray[np.uint16], sizes: NDArray[Any]) -> bool:
    """Tell whether each fits an octet, and has as many digits as JSON writes it with."""
    digits = (values >= _TEN).view(np.uint8) + (values >= _HUNDRED) + np.uint8(1)
    return int(values.max(initial=0)) <= _HIGHEST and np.array_equal(digits, sizes)


class _Outline:
    """What one instance has around its numbers."""

    def __init__(self, marks: bytes) -> None:
        self.marks = np.frombuffer(marks, np.uint8)
        between = b" " if b" " in marks else b","
        left, right = self.marks[:-1], self.marks[1:]
        left = (left == ord("[")) | (left == ord(between))
        right = (right == ord(",")) | (right == ord("]"))
        self.before = np.flatnonzero(left & right).astype(np.int32)  # the mark before each number


@lru_cache(maxsize=4)  # a program says the same shape again and again
def _outline(shape: tuple[int, ...], comma: bytes) -> _Outline:
    text = b""
    for n in reversed(shape):
        text = b"[" + text + (comma + text) * (n - 1) + b"]"
    return _Outline(text)
