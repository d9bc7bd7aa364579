"""Lists of numbers in JSON, into arrays, without making the lists. Knows no protocol.

The brackets and commas of a list are compared with those that its shape demands, and what is
left is one flat list of numbers, read a piece at a time; pixels are weighed where they are. What
does not fit is not explained here: whoever asked then takes a slow way, which knows what is wrong
and where.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Final

import numpy as np
import orjson

from littoral.model.backends import Array
from littoral_serve.protocols import octets

_NUMBER: Final = b"0123456789-+.eE \t\r\n"
_SPACES: Final = bytes.maketrans(b"[]", b"  ")  # not nothing: [1]2 must not become 12
_CODES: Final = {"float32": "f", "int8": "b", "int16": "h", "int32": "i", "int64": "q"}
_PIECE_BYTES: Final = 64 * 1024


def read(text: bytes, instance: tuple[int, ...], dtype: str) -> Array | None:
    """Return the list ``text`` of elements of the shape ``instance``; None: the slow way tells."""
    if dtype not in _CODES and dtype != "uint8":
        return None
    pixels = None if dtype == "int8" else octets.read(text, instance)
    if pixels is not None:
        return pixels.astype(dtype, copy=False).reshape(-1, *instance)
    count = _count(text, instance) if instance else _flat_count(text)
    if count is None:
        return None
    inner = text.translate(_SPACES) if instance else text[1:-1]
    try:
        data = b"".join(_packed(inner, _CODES.get(dtype)))
    except (ValueError, TypeError, OverflowError, struct.error):
        return None
    flat = np.frombuffer(data, dtype)
    return flat.reshape(count, *instance) if len(flat) == count * prod(instance) else None


def _count(text: bytes, instance: tuple[int, ...]) -> int | None:
    """Return how many elements there are; None where its brackets are not as they should be."""
    found = text.translate(None, _NUMBER)
    one = _skeleton(instance)
    count, rest = divmod(len(found) - 1, len(one) + 1)
    whole = not rest and count >= 1 and found == (b"[%s]" % b",".join([one] * count))
    return count if whole else None


def _flat_count(text: bytes) -> int | None:
    """Return how many numbers a list has that holds no other, and none that Python thinks is 1."""
    for odd in (b"[", b"]", b"t", b"f"):  # true and false
        if text.find(odd, 1, -1) >= 0:
            return None
    return text.count(b",") + 1


def _packed(text: bytes, code: str | None) -> Iterator[bytes]:
    """Return the numbers between commas, a piece at a time: each has 32 bytes while it is Python's.

    Without a ``code`` of struct they are bytes.
    """
    at = 0
    while at <= len(text):
        comma = text.find(b",", at + _PIECE_BYTES)
        end = len(text) if comma < 0 else comma
        # Of what begins with two spaces orjson expects more of them, and makes too little room.
        numbers = orjson.loads(b"[%s]" % text[at:end].strip())
        yield struct.pack(f"={len(numbers)}{code}", *numbers) if code else bytes(numbers)
        at = end + 1


@lru_cache(maxsize=256)
def _skeleton(shape: tuple[int, ...]) -> bytes:
    """Return the brackets and commas of one instance."""
    text = b""
    for n in reversed(shape):
        text = b"[%s]" % b",".join([text] * n)
    return text
