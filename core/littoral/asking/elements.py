"""Datatype BYTES of the Open Inference Protocol in binary: each element behind its length."""

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from littoral.asking.question import Array

_SIZE = struct.Struct("<I")


def pack(elements: Sequence[bytes]) -> bytes:
    return b"".join(part for one in elements for part in (_SIZE.pack(len(one)), one))


def array(name: str, data: bytes, shape: Sequence[int]) -> Array:
    """Return the elements as text, those of a name that ends in ``_bytes`` as bytes.

    Raises:
        ValueError: They are cut short, are not as many, or no text.

    """
    found = [*_unpack(data)]
    if name.endswith("_bytes"):
        made = np.empty(len(found), object)
        made[:] = found
    else:
        made = np.array([one.decode() for one in found], str)
    return made.reshape(shape)


def _unpack(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        begins = at + _SIZE.size
        at = begins + (_SIZE.unpack_from(data, at)[0] if begins <= len(data) else 0)
        if not begins <= at <= len(data):
            raise ValueError("an element of BYTES is cut short")
        yield data[begins:at]
