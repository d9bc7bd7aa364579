"""Datatype BYTES of the Open Inference Protocol in binary: each element behind its length."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

_SIZE: Final = struct.Struct("<I")


def pack(elements: Iterable[bytes]) -> bytes:
    return b"".join(part for one in elements for part in (_SIZE.pack(len(one)), one))


def unpack(data: bytes) -> Iterator[bytes]:
    """Walk the elements in ``data``. Raises ValueError where the last one is cut short."""
    at = 0
    while at < len(data):
        begins = at + _SIZE.size
        at = begins + (_SIZE.unpack_from(data, at)[0] if begins <= len(data) else 0)
        if not begins <= at <= len(data):
            raise ValueError("BYTES: an element is longer than what is left of the data")
        yield data[begins:at]
