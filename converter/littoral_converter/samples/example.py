"""tf.train.Example, read without TensorFlow: three kinds of lists under names.

The wire format is that of Protocol Buffers, of whatever message; what is not known is passed over.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.samples.asked import SamplesError

Feature = list[bytes] | NDArray[np.float32] | NDArray[np.int64]

_MAX_VARINT: Final = 10  # bytes


def parse(data: bytes) -> dict[str, Feature]:
    """Return the features of an Example by their names.

    Raises:
        SamplesError: It is none.

    """
    found = {}
    for features in inside(memoryview(data), 1):
        for entry in inside(features, 1):
            name, feature = _entry(entry)
            found[name] = feature
    return found


def inside(data: memoryview, number: int) -> Iterator[memoryview]:
    """Yield what each field ``number`` of a message holds, where that is bytes or a message."""
    return (v for n, v in _fields(data) if n == number and isinstance(v, memoryview))


def numbers(data: memoryview, number: int) -> Iterator[int]:
    """Yield what each field ``number`` of a message holds, where that is a whole number."""
    return (v for n, v in _fields(data) if n == number and isinstance(v, int))


def _entry(entry: memoryview) -> tuple[str, Feature]:
    name, feature = "", memoryview(b"")
    for number, value in _fields(entry):
        if number == 1 and isinstance(value, memoryview):
            name = bytes(value).decode(errors="replace")
        if number == 2 and isinstance(value, memoryview):  # noqa: PLR2004
            feature = value
    return name, _feature(feature)


def _feature(data: memoryview) -> Feature:
    found: Feature = []
    for number, value in _fields(data):
        if not isinstance(value, memoryview):
            raise SamplesError("a feature that is no list")
        match number:
            case 1:
                found = [bytes(item) for _, item in _fields(value) if isinstance(item, memoryview)]
            case 2:
                found = _floats(value)
            case 3:
                found = _integers(value)
            case _:
                pass
    return found


def _floats(data: memoryview) -> NDArray[np.float32]:
    parts = [value for number, value in _fields(data) if number == 1]
    if not all(isinstance(part, memoryview) and len(part) % 4 == 0 for part in parts):
        raise SamplesError("a list of floats that are none")
    return np.frombuffer(b"".join(part for part in parts if isinstance(part, memoryview)), "<f4")


def _integers(data: memoryview) -> NDArray[np.int64]:
    found: list[int] = []
    for number, value in _fields(data):
        if number != 1:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            one, at = _varint(value, at)
            found.append(one)
    # Those below 0 are stored as what remains of them modulo 2 ** 64.
    return np.array(found, np.uint64).astype(np.int64)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield each field's number, and its bytes or its whole number."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
                yield key >> 3, value
                continue
            case 2:
                length, at = _varint(data, at)
            case 1:
                length = 8
            case 5:
                length = 4
            case _:
                raise SamplesError("expected a tf.train.Example, found something else")
        if at + length > len(data):
            raise SamplesError("expected a tf.train.Example, found one that ends early")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT):
        if at >= len(data):
            raise SamplesError("expected a tf.train.Example, found one that ends early")
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004
            return value & (2**64 - 1), at
    raise SamplesError("expected a tf.train.Example, found something else")
