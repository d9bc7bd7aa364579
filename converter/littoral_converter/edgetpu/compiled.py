"""What the Edge TPU compiler put into a file: read back from the operator that holds it.

``edgetpu-custom-op`` bears a FlexBuffer map; under "4" lies a package (a FlatBuffer that says
DWN1), in it the executables: libedgetpu's executable.fbs has their fields, of which the few that
a person wants to know are read here. Nothing is loaded into anything.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from littoral.errors import MalformedError
from littoral_converter.graph import Graph

OPERATOR: Final = "edgetpu-custom-op"
_PACKAGE: Final = "4"
_MARK: Final = b"DWN1"
# Fields of Package and of Executable, by their place in the schema.
_MIN_RUNTIME, _EXECUTABLES, _COMPILER = 0, 1, 4
_PARAMETERS, _CHIP, _TYPE, _TOKEN = 6, 10, 13, 14
_CACHED: Final = 1  # the executable that fills the cache; the others stream what they need
_MOST: Final = 64  # executables in a package: two, so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One part of a graph as an Edge TPU takes it."""

    min_runtime_version: int
    compiler: str
    chip: str
    cached_bytes: int  # parameters that stay on the chip while the token is the same
    streamed_bytes: int  # parameters that are sent for each inference
    token: int  # 0: nothing is cached; models that share one were compiled together


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The packages of a file as one."""

    parts: int
    min_runtime_version: int
    cached_bytes: int
    streamed_bytes: int
    tokens: tuple[int, ...]
    compiler: str


def read(graph: Graph) -> tuple[Package, ...]:
    """Return the packages in ``graph``; none where it was not compiled.

    Raises:
        MalformedError: An operator holds something else than a package.

    """
    blobs = [o.custom_options for s in graph.subgraphs for o in s.operators if o.name == OPERATOR]
    return tuple(_package(_blob(options)) for options in blobs)


def facts(packages: tuple[Package, ...]) -> Facts:
    """Return what holds for a file with ``packages``, at least one."""
    tokens = dict.fromkeys(p.token for p in packages if p.token)
    return Facts(
        parts=len(packages),
        min_runtime_version=max(p.min_runtime_version for p in packages),
        cached_bytes=sum(p.cached_bytes for p in packages),
        streamed_bytes=sum(p.streamed_bytes for p in packages),
        tokens=tuple(tokens),
        compiler=packages[0].compiler,
    )


def _blob(options: bytes) -> bytes:
    from flatbuffers import flexbuffers

    try:
        entry = flexbuffers.GetRoot(bytearray(options)).AsMap[_PACKAGE]
        # It is a string by its type, though no text.
        return bytes(entry.AsStringBytes)
    except (struct.error, IndexError, KeyError, TypeError, ValueError, AssertionError) as e:
        raise MalformedError(f"{OPERATOR} holds no package: {e}") from e


def _package(data: bytes) -> Package:
    if data[4:8] != _MARK:
        raise MalformedError(f"{OPERATOR}: expected a package (DWN1), found {data[4:8]!r}")
    try:
        root = _Table.root(data)
        held = [_Table.root(e) for e in _Table.root(root.blob(_EXECUTABLES)).blobs(0)]
        if not held:
            raise MalformedError(f"{OPERATOR}: the package holds no executable")
        cached = [e.length(_PARAMETERS) for e in held if e.number(_TYPE, "<h") == _CACHED]
        streamed = [e.length(_PARAMETERS) for e in held if e.number(_TYPE, "<h") != _CACHED]
        return Package(
            min_runtime_version=root.number(_MIN_RUNTIME, "<i"),
            compiler=root.blob(_COMPILER).decode(errors="replace"),
            chip=held[0].blob(_CHIP).decode(errors="replace"),
            cached_bytes=sum(cached),
            streamed_bytes=sum(streamed),
            token=next((t for e in held if (t := e.number(_TOKEN, "<Q"))), 0),
        )
    except (struct.error, IndexError, ValueError) as e:
        raise MalformedError(f"{OPERATOR}: the package is damaged: {e}") from e


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
        at = self._find(field)
        if not at:
            return
        start = _follow(self.data, at)
        count = _unpack("<I", self.data, start)
        if count > _MOST:
            raise ValueError(f"{count} executables")
        for k in range(count):
            yield _string(self.data, start + 4 + 4 * k)

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
    length = _unpack("<I", data, start)
    found = data[start + 4 : start + 4 + length]
    if len(found) != length:
        raise ValueError("it is cut short")
    return found


def _unpack(kind: str, data: bytes, at: int) -> Any:  # noqa: ANN401 (kind says which)
    if at < 0:  # struct would count from the end
        raise ValueError("it points before its beginning")
    return struct.unpack_from(kind, data, at)[0]
