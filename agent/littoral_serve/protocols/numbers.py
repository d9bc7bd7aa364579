"""Lists of numbers in JSON, into arrays, without making the lists. Knows no protocol.

The brackets and commas of a list are compared with those that its shape demands, and what is
left is one flat list of numbers, read a piece at a time. What does not fit is not explained
here: whoever asked then takes a slow way, which knows what is wrong and where.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
import orjson

from littoral.model.backends import Array

_NUMBER: Final = b"0123456789-+.eE \t\r\n"
_SPACES: Final = bytes.maketrans(b"[]", b"  ")  # not nothing: [1]2 must not become 12
_CODES: Final = {"float32": "f", "int8": "b", "int16": "h", "int32": "i", "int64": "q"}
_PIECE_BYTES: Final = 64 * 1024


def read(text: bytes, instance: tuple[int, ...], dtype: str) -> Array | None:
    """Return the list ``text`` of elements of the shape ``instance``; None: the slow way tells."""
    if dtype not in _CODES and dtype != "uint8":
        return None
    found = text.translate(None, _NUMBER)
    one, size = _skeleton(instance)
    count, rest = divmod(len(found) - 1, len(one) + 1)
    if rest or count < 1 or found != (b"[%s]" % b",".join([one] * count)):
        return None
    try:
        data = b"".join(_packed(text.translate(_SPACES), _CODES.get(dtype)))
    except (ValueError, TypeError, OverflowError, struct.error):
        return None
    flat = np.frombuffer(data, dtype)
    return flat.reshape(count, *instance) if len(flat) == count * size else None


def _packed(text: bytes, code: str | None) -> Iterator[bytes]:
    """Return the numbers between commas, a piece at a time: each has 32 bytes while it is Python's.

    Without a ``code`` of struct they are bytes.
    """
    at = 0
    while at <= len(text):
        comma = text.find(b",", at + _PIECE_BYTES)
        end = len(text) if comma < 0 else comma
        numbers = orjson.loads(b"[%s]" % text[at:end])
        yield struct.pack(f"={len(numbers)}{code}", *numbers) if code else bytes(numbers)
        at = end + 1


@lru_cache(maxsize=256)
def _skeleton(shape: tuple[int, ...]) -> tuple[bytes, int]:
    """Return the brackets and commas of one instance, and how many numbers it has."""
    text, size = b"", 1
    for n in reversed(shape):
        text, size = b"[%s]" % b",".join([text] * n), size * n
    return text, size
