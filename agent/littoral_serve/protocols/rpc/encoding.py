"""Messages of Protocol Buffers into bytes, by their tables. Knows no service."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from littoral_serve.protocols.rpc.tables import (
    DTYPES,
    FORMS,
    LENGTH,
    LONGEST,
    VARINT,
    Field,
    Message,
)


def encode(of: Message, values: Mapping[str, Any]) -> bytes:
    """Return the bytes of a message: what ``values`` holds by name, and is not None.

    Bulk fields are arrays; ``bytes`` may be anything that is one piece of memory; a message may
    be encoded already.
    """
    out: list[Any] = []
    _write(of, values, out)
    return b"".join(out)


def _write(of: Message, values: Mapping[str, Any], out: list[Any]) -> None:
    for name, value in values.items():
        field = of.fields[name]
        if value is None:
            continue
        if field.kind == "map":
            assert field.of is not None  # noqa: S101
            for key, item in value.items():
                _length(field, encode(field.of, {"key": key, "value": item}), out)
        elif field.many and field.kind in DTYPES:
            if len(value):
                _length(field, _pack(field.kind, value), out)
        else:
            for item in value if field.many else (value,):
                _write_one(field, item, out)


def _write_one(field: Field, value: Any, out: list[Any]) -> None:  # noqa: ANN401
    match field.kind:
        case "string":
            _length(field, value.encode(errors="replace"), out)
        case "bytes":
            _length(field, value, out)
        case "message":
            assert field.of is not None  # noqa: S101
            _length(field, value if isinstance(value, bytes) else encode(field.of, value), out)
        case "float" | "double":
            data = struct.pack("<f" if field.kind == "float" else "<d", value)
            out += (_bytes_of(field.number << 3 | FORMS[field.kind]), data)
        case _:
            out += (_bytes_of(field.number << 3), _bytes_of(int(value)))


def _length(field: Field, data: Any, out: list[Any]) -> None:  # noqa: ANN401
    view = memoryview(data)
    out += (_bytes_of(field.number << 3 | LENGTH), _bytes_of(view.nbytes), view)


def _bytes_of(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF
    if value < 0x80:  # noqa: PLR2004
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _pack(kind: str, values: Any) -> bytes:  # noqa: ANN401
    if FORMS[kind] != VARINT:
        return np.ascontiguousarray(values, DTYPES[kind]).tobytes()
    if not isinstance(values, np.ndarray):
        return b"".join(_bytes_of(int(value)) for value in values)
    wide = values.ravel().astype(np.int64, copy=False).view(np.uint64)
    if not (wide >> np.uint64(7)).any():
        return wide.astype(np.uint8).tobytes()
    shifts = np.arange(0, 7 * LONGEST, 7, dtype=np.uint64)
    groups = wide[:, None] >> shifts
    more = np.concatenate([groups[:, 1:] != 0, np.zeros((len(wide), 1), bool)], 1)
    used = np.concatenate([np.ones((len(wide), 1), bool), more[:, :-1]], 1)
    data = (groups & np.uint64(0x7F)).astype(np.uint8) | (more * np.uint8(0x80))
    return bytes(data[used])
