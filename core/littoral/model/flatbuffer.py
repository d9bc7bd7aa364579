"""FlatBuffers as far as a device reads one: fields, by their places in a schema. Knows no schema.

What leads beyond the bytes that are there raises one of ``DAMAGED``.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_MOST: Final = 64  # strings in a vector of them: executables in a package are two, so far
DAMAGED: Final = (struct.error, IndexError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a FlatBuffer, read by the places of its fields."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> "Table":
        return cls(data, unpack("<I", data, 0))

    def number(self, field: int, kind: str) -> Any:  # noqa: ANN401 (kind says which)
        at = self._find(field)
        return unpack(kind, self.data, at) if at else 0

    def blob(self, field: int) -> bytes:
        at = self._find(field)
        return _string(self.data, at) if at else b""

    def says(self, field: int, text: bytes) -> bool:
        """Tell whether ``text`` is what a blob holds, however much that says it holds."""
        at = self._find(field)
        start = _follow(self.data, at) if at else 0
        if not at or unpack("<I", self.data, start) != len(text):
            return False
        return self.data[start + 4 : start + 4 + len(text)] == text

    def length(self, field: int) -> int:
        at = self._find(field)
        found = int(unpack("<I", self.data, _follow(self.data, at))) if at else 0
        if found > len(self.data):
            raise ValueError("it is cut short")
        return found

    def blobs(self, field: int) -> Iterator[bytes]:
        for place in self._places(field, most=_MOST):
            yield _string(self.data, place)

    def tables(self, field: int) -> Iterator["Table"]:
        for place in self._places(field, most=len(self.data)):
            yield Table(self.data, _follow(self.data, place))

    def table(self, field: int, index: int) -> "Table":
        """Return one of its tables. Raises IndexError where they are fewer."""
        at = self._find(field)
        start = _follow(self.data, at) if at else 0
        if not at or index >= unpack("<I", self.data, start):
            raise IndexError(index)
        return Table(self.data, _follow(self.data, start + 4 + 4 * index))

    def _places(self, field: int, *, most: int) -> Iterator[int]:
        at = self._find(field)
        if not at:
            return
        start = _follow(self.data, at)
        count = unpack("<I", self.data, start)
        if count > most:
            raise ValueError(f"{count} of them")
        for k in range(count):
            yield start + 4 + 4 * k

    def _find(self, field: int) -> int:
        """Return where ``field`` lies, 0 where it is left out."""
        fields = self.at - unpack("<i", self.data, self.at)
        place = 4 + 2 * field
        if place >= unpack("<H", self.data, fields):
            return 0
        offset = unpack("<H", self.data, fields + place)
        return self.at + offset if offset else 0


def _follow(data: bytes, at: int) -> int:
    return at + int(unpack("<I", data, at))


def _string(data: bytes, at: int) -> bytes:
    start = _follow(data, at)
    return cut(data, start + 4, unpack("<I", data, start))


def cut(data: bytes, start: int, length: int) -> bytes:
    """Return ``length`` bytes from ``start`` on. Raises ValueError where there are fewer."""
    found = data[start : start + length]
    if len(found) != length:
        raise ValueError("it is cut short")
    return found


def unpack(kind: str, data: bytes, at: int) -> Any:  # noqa: ANN401 (kind says which)
    """Return the one value at ``at``, which ``kind`` says as struct does. Raises DAMAGED."""
    if at < 0:  # struct would count from the end
        raise ValueError("it points before its beginning")
    return struct.unpack_from(kind, data, at)[0]
