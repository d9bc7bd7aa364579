"""What every message is: a record that says itself in JSON, and is read with a cap and strictly."""

from typing import ClassVar, Final, Self

from littoral import records
from littoral.errors import MalformedError

MAX_BYTES: Final = 64 * 1024


class Message:
    """To be inherited by frozen dataclasses."""

    __slots__ = ()
    MOST_BYTES: ClassVar[int] = MAX_BYTES

    def to_json(self) -> bytes:
        return records.to_json(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``to_json`` wrote. Raises MalformedError."""
        try:
            return records.from_json(cls, data, limit=cls.MOST_BYTES)
        except records.RecordError as e:
            raise MalformedError(f"{cls.__name__.lower()}: {e}") from e
