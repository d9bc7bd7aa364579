"""Writes TFRecords of tf.train.Example, by the letter of their formats."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from littoral_converter.samples.crc32c import masked


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    crcs = [struct.pack("<I", masked(part)) for part in (length, data)]
    return length + crcs[0] + data + crcs[1]


def example(features: Mapping[str, Any]) -> bytes:
    """A feature is bytes, whole numbers or floats, by what is in it."""
    entries = b""
    for name, value in features.items():
        entries += _field(1, _field(1, name.encode()) + _field(2, _feature(value)))
    return _field(1, entries)


def _feature(value: Any) -> bytes:
    if isinstance(value, bytes):
        return _field(1, _field(1, value))
    values = np.atleast_1d(value)
    if values.dtype.kind == "f":
        return _field(2, _field(1, values.astype("<f4").tobytes()))
    return _field(3, _field(1, b"".join(_varint(int(v) % 2**64) for v in values)))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
