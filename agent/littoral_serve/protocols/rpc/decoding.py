"""Messages of Protocol Buffers from bytes, by their tables. Knows no service.

A message becomes a dict of what was sent, by name; what was not sent is not in it. Large fields
are not copied: ``bytes`` come as views of the request, and repeated numbers as arrays. Unknown
fields are skipped. A request may have so many fields and no more: else two bytes of it would
buy an object of two hundred.
"""

import struct
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols.rpc.tables import (
    DTYPES,
    FIXED32,
    FIXED64,
    FORMS,
    LENGTH,
    LONGEST,
    VARINT,
    Field,
    Message,
)

MOST_FIELDS: Final = 100_000  # of one request; numbers that are packed are one field
_SIZES: Final = {FIXED64: 8, FIXED32: 4}


class WireError(ValueError):
    """These bytes are no such message."""


class GroupError(WireError):
    """They hold a group: what Protocol Buffers had before messages in messages."""


def joined(parts: Iterable[Array], kind: str) -> Array:
    """Return the numbers of a bulk field, which may have come in parts."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, DTYPES[kind]), *parts])


def decode(of: Message, data: bytes) -> dict[str, Any]:
    """Return what ``data`` holds of a message.

    Raises:
        WireError: It is none.

    """
    found: dict[str, Any] = {}
    try:
        _Reader(data).read(of, found, 0, len(data))
    except IndexError:
        raise WireError("it ends within a field") from None
    except UnicodeDecodeError as e:
        raise WireError(f"a string is not UTF-8: {e.reason}") from e
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._view = data, memoryview(data)
        self._left = MOST_FIELDS

    def read(self, of: Message, found: dict[str, Any], at: int, end: int) -> None:
        """Add to ``found`` what lies between ``at`` and ``end``."""
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise WireError(f"expected at most {MOST_FIELDS} fields, found more")
            tag, at = _varint(self._data, at)
            form, value, to = tag & 7, 0, at
            if form == LENGTH:
                size, at = _varint(self._data, at)
                to = at + size
            elif form == VARINT:
                value, to = _varint(self._data, at)
            elif form in _SIZES:
                to = at + _SIZES[form]
            else:
                raise GroupError(f"expected a field, found wire type {form}")
            if to > end or not 0 < tag >> 3 < 1 << 29:
                raise WireError("it ends within a field, or one has no number")
            if (named := of.known.get(tag >> 3)) is not None:
                name, field = named
                if self._take(name, field, found, form=form, at=at, to=to, value=value):
                    for rival in of.rivals.get(name, ()):
                        found.pop(rival, None)
            at = to

    def _take(
        self,
        name: str,
        field: Field,
        found: dict[str, Any],
        *,
        form: int,
        at: int,
        to: int,
        value: int,
    ) -> bool:
        """Put one field into ``found``; return whether it was of the kind that it should be."""
        kind = field.kind
        made: Any
        if kind in DTYPES and form == LENGTH and field.many:
            found.setdefault(name, []).extend(self._packed(field, at, to))
            return True
        if form != FORMS.get(kind, LENGTH):
            return False
        if kind in DTYPES:
            made = _number(kind, value) if form == VARINT else self._fixed(kind, at)
            made = np.array([made], DTYPES[kind]) if field.bulk else made
        elif kind == "string":
            made = self._data[at:to].decode()
        elif kind == "bytes":
            made = self._view[at:to]
        else:
            assert field.of is not None  # noqa: S101 (of messages and maps)
            held = found.get(name) if kind == "message" and not field.many else None
            made = {} if held is None else held
            self.read(field.of, made, at, to)
        if kind == "map":
            found.setdefault(name, {})[made.get("key", "")] = made.get("value", {})
        elif field.many:
            found.setdefault(name, []).append(made)
        else:
            found[name] = made
        return True

    def _fixed(self, kind: str, at: int) -> float:
        (value,) = struct.unpack_from("<f" if kind == "float" else "<d", self._data, at)
        return float(value)

    def _packed(self, field: Field, at: int, to: int) -> list[Any]:
        dtype = np.dtype(DTYPES[field.kind])
        if FORMS[field.kind] != VARINT:
            if (to - at) % dtype.itemsize:
                raise WireError("packed numbers end within one")
            array = np.frombuffer(self._data, dtype, (to - at) // dtype.itemsize, at)
            return [array] if field.bulk else array.tolist()
        if field.bulk:
            return [_unpack(np.frombuffer(self._data, np.uint8, to - at, at)).astype(dtype)]
        found = []
        while at < to:
            value, at = _varint(self._data, at)
            found.append(_number(field.kind, value))
        self._left -= len(found)
        if at > to:
            raise WireError("packed numbers end within one")
        return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at``, and where it ends."""
    value = data[at]
    if value < 0x80:  # noqa: PLR2004
        return value, at + 1
    value &= 0x7F
    for shift in range(7, 7 * LONGEST, 7):
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + 1
    raise WireError(f"a number has more than {LONGEST} bytes")


def _number(kind: str, value: int) -> int | bool:
    if kind == "bool":
        return value != 0
    bits = 32 if kind in {"int32", "uint32", "enum"} else 64
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] != "u" and value >> (bits - 1) else value


def _unpack(data: Array) -> Array:
    """Return the varints in ``data``, all of them at once, as uint64."""
    if not len(data):
        return np.empty(0, np.uint64)
    ends = np.flatnonzero(data < 0x80)  # noqa: PLR2004
    if len(ends) == len(data):
        return data.astype(np.uint64)
    if not len(ends) or ends[-1] != len(data) - 1:
        raise WireError("packed numbers end within one")
    starts = np.concatenate([[0], ends[:-1] + 1])
    longest = int((ends - starts).max()) + 1
    if longest > LONGEST:
        raise WireError(f"a number has more than {LONGEST} bytes")
    found = np.zeros(len(ends), np.uint64)
    for k in range(longest):
        at = starts + k
        there = at <= ends
        part = (data[np.where(there, at, 0)] & 0x7F).astype(np.uint64)
        found |= np.where(there, part << np.uint64(7 * k), np.uint64(0))
    return found
