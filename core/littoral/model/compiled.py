"""What edgetpu_compiler put into a file: read back from the operator that holds it.

``edgetpu-custom-op`` bears a FlexBuffer map; under "4" lies a package (a FlatBuffer that says
DWN1), in it the executables: libedgetpu's executable.fbs has their fields, of which the few that
somebody wants to know are read here. Nothing is loaded into anything, and nothing but this reads
it: a device has no other reader of FlatBuffers.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from littoral.errors import MalformedError

OPERATOR: Final = "edgetpu-custom-op"
_PACKAGE: Final = b"4"
_MARK: Final = b"DWN1"
# Fields of Package and of Executable, by their place in the schema.
_MIN_RUNTIME, _EXECUTABLES, _COMPILER = 0, 1, 4
_PARAMETERS, _CHIP, _TYPE, _TOKEN = 6, 10, 13, 14
# Of TFLite's Model, OperatorCode, SubGraph and Operator.
_CODES, _SUBGRAPHS, _CUSTOM_CODE, _OPERATORS, _OPCODE, _OPTIONS = 1, 2, 1, 3, 0, 5
_CACHED: Final = 1  # the executable that fills the cache; the others stream what they need
_MOST: Final = 64  # executables in a package: two, so far
_MAP, _STRING, _BLOB = 9, 5, 25  # a FlexBuffer's types
_DAMAGED: Final = (struct.error, IndexError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One part of a graph as an Edge TPU takes it."""

    min_runtime_version: int
    compiler: str
    chip: str
    cached_bytes: int  # parameters that stay on the chip while the token is the same
    streamed_bytes: int  # parameters that are sent for each inference
    token: int  # 0: nothing is cached; models that share one were compiled together


def min_runtime_version(model: bytes) -> int:
    """Return what the packages in ``model``, a .tflite file, require; 0 where they do not say.

    Raises:
        MalformedError: It cannot be read.

    """
    try:
        found = [_package(_entry(options)) for options in _options(model) if options]
    except _DAMAGED as e:
        raise MalformedError(f"{OPERATOR} cannot be read: {e}") from e
    return max((package.min_runtime_version for package in found), default=0)


def package(options: bytes) -> Package:
    """Return what the custom options of one such operator hold. Raises MalformedError."""
    try:
        data = _entry(options)
    except _DAMAGED as e:
        raise MalformedError(f"{OPERATOR} holds no package: {e}") from e
    try:
        return _package(data)
    except _DAMAGED as e:
        raise MalformedError(f"{OPERATOR}: the package is damaged: {e}") from e


def _package(data: bytes) -> Package:
    if data[4:8] != _MARK:
        raise MalformedError(f"{OPERATOR}: expected a package (DWN1), found {data[4:8]!r}")
    root = _Table.root(data)
    held = [_Table.root(one) for one in _Table.root(root.blob(_EXECUTABLES)).blobs(0)]
    if not held:
        raise MalformedError(f"{OPERATOR}: the package holds no executable")
    cached = [one.length(_PARAMETERS) for one in held if one.number(_TYPE, "<h") == _CACHED]
    streamed = [one.length(_PARAMETERS) for one in held if one.number(_TYPE, "<h") != _CACHED]
    return Package(
        min_runtime_version=root.number(_MIN_RUNTIME, "<i"),
        compiler=root.blob(_COMPILER).decode(errors="replace"),
        chip=held[0].blob(_CHIP).decode(errors="replace"),
        cached_bytes=sum(cached),
        streamed_bytes=sum(streamed),
        token=next((t for one in held if (t := one.number(_TOKEN, "<Q"))), 0),
    )


def _options(model: bytes) -> Iterator[bytes]:
    """Yield the custom options of each operator that was compiled."""
    root = _Table.root(model)
    names = [code.blob(_CUSTOM_CODE) for code in root.tables(_CODES)]
    for graph in root.tables(_SUBGRAPHS):
        for operator in graph.tables(_OPERATORS):
            if names[operator.number(_OPCODE, "<I")] == OPERATOR.encode():
                yield operator.blob(_OPTIONS)


def _entry(data: bytes) -> bytes:
    """Return what lies under "4" in the FlexBuffer map ``data``; a string by its type, no text."""
    kind, width = data[-2], data[-1]
    at = _back(data, len(data) - 2 - width, width)
    if kind >> 2 != _MAP:
        raise ValueError("it is no map")
    width = 1 << (kind & 3)
    count = _unsigned(data, at - width, width)
    keys, size = _back(data, at - 3 * width, width), _unsigned(data, at - 2 * width, width)
    for k in range(min(count, len(data))):
        if data[(key := _back(data, keys + k * size, size)) : key + 2] != _PACKAGE + b"\0":
            continue
        held = data[at + count * width + k]
        if held >> 2 not in {_STRING, _BLOB}:
            raise ValueError("it is of another type")
        start, wide = _back(data, at + k * width, width), 1 << (held & 3)
        return _cut(data, start, _unsigned(data, start - wide, wide))
    raise ValueError("there is none")


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer, read by the places of its fields."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, _unpack("<I", data, 0))

    def number(self, field: int, kind: str) -> Any:  # noqa: ANN401 (kind says which)
        at = self._find(field)
        return _unpack(kind, self.data, at) if at else 0

    def blob(self, field: int) -> bytes:
        at = self._find(field)
        return _string(self.data, at) if at else b""

    def length(self, field: int) -> int:
        at = self._find(field)
        found = int(_unpack("<I", self.data, _follow(self.data, at))) if at else 0
        if found > len(self.data):
            raise ValueError("it is cut short")
        return found

    def blobs(self, field: int) -> Iterator[bytes]:
        for place in self._places(field, most=_MOST):
            yield _string(self.data, place)

    def tables(self, field: int) -> Iterator["_Table"]:
        for place in self._places(field, most=len(self.data)):
            yield _Table(self.data, _follow(self.data, place))

    def _places(self, field: int, *, most: int) -> Iterator[int]:
        at = self._find(field)
        if not at:
            return
        start = _follow(self.data, at)
        count = _unpack("<I", self.data, start)
        if count > most:
            raise ValueError(f"{count} of them")
        for k in range(count):
            yield start + 4 + 4 * k

    def _find(self, field: int) -> int:
        """Return where ``field`` lies, 0 where it is left out."""
        fields = self.at - _unpack("<i", self.data, self.at)
        place = 4 + 2 * field
        if place >= _unpack("<H", self.data, fields):
            return 0
        offset = _unpack("<H", self.data, fields + place)
        return self.at + offset if offset else 0


def _follow(data: bytes, at: int) -> int:
    return at + int(_unpack("<I", data, at))


def _string(data: bytes, at: int) -> bytes:
    start = _follow(data, at)
    return _cut(data, start + 4, _unpack("<I", data, start))


def _cut(data: bytes, start: int, length: int) -> bytes:
    found = data[start : start + length]
    if len(found) != length:
        raise ValueError("it is cut short")
    return found


def _back(data: bytes, at: int, width: int) -> int:
    """Return what the offset at ``at`` points back to."""
    return at - _unsigned(data, at, width)


def _unsigned(data: bytes, at: int, width: int) -> int:
    return int(_unpack({1: "<B", 2: "<H", 4: "<I", 8: "<Q"}[width], data, at))


def _unpack(kind: str, data: bytes, at: int) -> Any:  # noqa: ANN401 (kind says which)
    if at < 0:  # struct would count from the end
        raise ValueError("it points before its beginning")
    return struct.unpack_from(kind, data, at)[0]
