"""Unsigned LEB128 integers, as protobuf has them: small numbers in few bytes."""

from typing import Final

_BITS: Final = 63  # what a database's column holds: nine bytes of seven bits


def write(out: bytearray, value: int) -> None:
    """Append ``value``, which must not be negative."""
    while value > 0x7F:  # noqa: PLR2004
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def read(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer that starts at ``at``, and where the next thing starts.

    Raises:
        ValueError: The bytes end before the integer does, or it has more than 63 bits.

    """
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("a number is cut short")
        if shift >= _BITS:
            raise ValueError("a number is too great")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            return value, at
        shift += 7


def fold(value: int) -> int:
    """Return ``value``, which may be negative, as one that is not: small ones stay small."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def unfold(value: int) -> int:
    """Return what ``fold`` was given."""
    return -((value + 1) >> 1) if value & 1 else value >> 1
