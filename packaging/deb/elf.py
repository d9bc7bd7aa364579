"""Strips a shared library of any architecture: what no program loads is cut off.

``strip`` knows the architecture that it was built for, and its bytes differ by version; this
does the same everywhere. It keeps the segments as they lie, and of the sections those that
are loaded, so that tools still read the file.
"""

import struct
from dataclasses import dataclass, replace
from typing import Final

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_MAGIC: Final = b"\x7fELF\x02\x01"  # 64 bits, little-endian: every Debian that we build for
_ALLOCATED: Final = 0x2
_INFO_IS_SECTION: Final = 0x40
_NO_BITS: Final = 8
_STRINGS: Final = 3
_NAMES: Final = ".shstrtab"


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int

    @property
    def end(self) -> int:
        return self.offset + (0 if self.kind == _NO_BITS else self.size)

    def pack(self, name_at: int) -> bytes:
        rest = (self.offset, self.size, self.link, self.info, self.align, self.entry)
        return _SECTION.pack(name_at, self.kind, self.flags, self.address, *rest)


def is_elf(data: bytes) -> bool:
    return data.startswith(_MAGIC)


def machine(data: bytes) -> int:
    """Return the architecture's number: 62 is x86-64, 183 is AArch64."""
    return int(_HEADER.unpack_from(data)[2])


def strip(data: bytes) -> bytes:
    """Return ``data``, an ELF file, without symbols and debugging; itself if that saves nothing."""
    kept = _renumbered(
        {at: s for at, s in enumerate(_sections(data)) if not s.kind or s.flags & _ALLOCATED}
    )
    body = _aligned(data[: max(_end_of_segments(data), *(s.end for s in kept))])
    names = _Names()
    kept.append(_Section(_NAMES, _STRINGS, 0, 0, len(body), 0, 0, 0, 1, 0))
    places = [names.add(section.name) for section in kept]
    kept[-1] = replace(kept[-1], size=len(names.text))
    table_at = len(_aligned(body + names.text))
    table = b"".join(section.pack(at) for section, at in zip(kept, places, strict=True))
    header = list(_HEADER.unpack_from(data))
    header[6], header[12], header[13] = table_at, len(kept), len(kept) - 1
    stripped = _HEADER.pack(*header) + _aligned(body + names.text)[_HEADER.size :] + table
    return stripped if len(stripped) < len(data) else data


class _Names:
    """The table of the sections' names."""

    def __init__(self) -> None:
        self.text = b"\0"

    def add(self, name: str) -> int:
        """Return where ``name`` stands; the empty one stands first."""
        if not name:
            return 0
        at = len(self.text)
        self.text += name.encode() + b"\0"
        return at


def _renumbered(kept: dict[int, _Section]) -> list[_Section]:
    """Return the sections, each naming the others by the numbers that they have now."""
    numbers = {old: new for new, old in enumerate(kept)}
    return [
        replace(
            section,
            link=numbers.get(section.link, 0),
            info=numbers.get(section.info, 0) if section.flags & _INFO_IS_SECTION else section.info,
        )
        for section in kept.values()
    ]


def _sections(data: bytes) -> list[_Section]:
    header = _HEADER.unpack_from(data)
    offset, count, names_at = header[6], header[12], header[13]
    rows = [_SECTION.unpack_from(data, offset + n * _SECTION.size) for n in range(count)]
    strings = rows[names_at][4] if rows else 0
    return [_Section(_text(data, strings + name), *rest) for name, *rest in rows]


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()


def _end_of_segments(data: bytes) -> int:
    header = _HEADER.unpack_from(data)
    offset, count = header[5], header[10]
    ends = [int(offset + _SEGMENT.size * count)]
    for number in range(count):
        _, _, at, _, _, length, _, _ = _SEGMENT.unpack_from(data, offset + number * _SEGMENT.size)
        ends.append(at + length)
    return max(ends)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)
