"""What messages of Protocol Buffers may hold: tables. Reads and writes nothing.

The tables stand in for generated code, which would bring protobuf's runtime onto the device, and
with it one pool of descriptors that all packages of a process share.
"""

from dataclasses import dataclass
from typing import Final

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
LONGEST: Final = 10  # bytes of a varint
DTYPES: Final = {  # of numbers, by what Protocol Buffers call them
    "int32": "<i4",
    "enum": "<i4",
    "int64": "<i8",
    "uint32": "<u4",
    "uint64": "<u8",
    "bool": "?",
    "float": "<f4",
    "double": "<f8",
}
FORMS: Final = {
    **dict.fromkeys(DTYPES, VARINT),
    "float": FIXED32,
    "double": FIXED64,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message; ``many``: repeated; ``bulk``: as arrays, see ``joined``."""

    number: int
    kind: str  # as Protocol Buffers call it, or "message", or "map" (of such an entry)
    of: "Message | None" = None
    many: bool = False
    bulk: bool = False


class Message:
    """What a message may hold, by name. Of the names in one of ``oneofs``, the last counts."""

    def __init__(self, name: str, /, *oneofs: tuple[str, ...], **fields: Field) -> None:
        self.name, self.fields = name, fields
        self.known = {field.number: (key, field) for key, field in fields.items()}
        self.rivals = {one: tuple(set(names) - {one}) for names in oneofs for one in names}


def one(number: int, kind: str | Message) -> Field:
    return _field(number, kind, many=False)


def several(number: int, kind: str | Message) -> Field:
    """Return a repeated field that holds a few, as a list."""
    return _field(number, kind, many=True)


def bulk(number: int, kind: str) -> Field:
    """Return a repeated field that holds many numbers, as arrays."""
    return Field(number, kind, many=True, bulk=True)


def by_name(number: int, kind: str | Message) -> Field:
    """Return a map from strings."""
    return Field(number, "map", Message("", key=one(1, "string"), value=one(2, kind)))


def _field(number: int, kind: str | Message, *, many: bool) -> Field:
    if isinstance(kind, Message):
        return Field(number, "message", kind, many=many)
    return Field(number, kind, many=many)
