"""The frame: how programs of one machine ask its serve for less than HTTP costs.

Bytes and records only: no socket, no tensor. docs/frames.md says what each field means.

    header: 16 bytes, little-endian | head: JSON | body: tensors, one behind the other
"""

import enum
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from littoral import records
from littoral.errors import MalformedError, UnsupportedFormatError

T = TypeVar("T")

HEADER: Final = struct.Struct("<2sBBIII")  # magic, version, kind, head, body, within_ms
MAGIC: Final = b"\x8fL"  # no method of HTTP begins so
VERSION: Final = 1
MAX_HEAD_BYTES: Final = 64 * 1024  # of a request
ALIGNED: Final = 16  # where a body begins, for who looks at its floats in place
_MOST_DIMENSIONS: Final = 32
_MOST: Final = 2**32 - 1  # that a field of the header holds

Dtype = Literal["bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32"]
_BYTES: Final[Mapping[str, int]] = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float16": 2,
    "float32": 4,
}


class Kind(enum.IntEnum):
    """What a frame is. Answers have the highest bit."""

    RUN = 1
    DESCRIBE = 2
    DONE = 129
    DESCRIBED = 130
    REFUSED = 255


@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor of a body, or one that a model takes or gives."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.shape) > _MOST_DIMENSIONS or any(n < 0 for n in self.shape):
            raise ValueError(f"{self.name!r} has no shape: {list(self.shape)}")

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * _BYTES[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is asked: the body has the inputs."""

    model: str
    inputs: tuple[Spec, ...]
    release: int | None = None  # the one that answers, whichever that is
    signature: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it: the body has the outputs."""

    model: str
    release: int
    outputs: tuple[Spec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """What a release takes and gives is asked."""

    model: str
    release: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One way to see a model."""

    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What it takes and gives, by signature."""

    model: str
    release: int
    label: str
    signatures: dict[str, Signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why there is no answer."""

    code: str
    error: str


def head(record: object) -> bytes:
    """Return ``record`` as a head, so long that the body behind it is aligned."""
    text = records.to_json(record)
    return text + b" " * (-(HEADER.size + len(text)) % ALIGNED)


def begin(kind: Kind, head: bytes, *, body_bytes: int = 0, within_ms: int = 0) -> bytes:
    """Return a frame without its body.

    Raises:
        ValueError: There is more of something than a header can say.

    """
    if max(len(head), body_bytes, within_ms) > _MOST:
        raise ValueError(f"expected at most {_MOST} bytes")
    return HEADER.pack(MAGIC, VERSION, kind, len(head), body_bytes, within_ms) + head


def refusal(code: str, words: str) -> bytes:
    """Return a frame that says no."""
    # They may quote half a character, which JSON can say and UTF-8 cannot.
    text = words.encode(errors="replace").decode()
    return begin(Kind.REFUSED, head(Refused(code=code, error=text)))


def sizes(data: Any, at: int = 0) -> tuple[int, int, int, int]:  # noqa: ANN401 (a buffer)
    """Return kind, bytes of head and of body, and milliseconds, of the header at ``at``.

    Raises:
        MalformedError: There is no frame there.
        UnsupportedFormatError: There is one of another version.

    """
    magic, version, kind, head_bytes, body_bytes, within_ms = HEADER.unpack_from(data, at)
    if magic != MAGIC:
        raise MalformedError(f"expected a frame, found {magic.hex(' ')}")
    if version != VERSION:
        raise UnsupportedFormatError("frame", found=version, known=VERSION)
    return kind, head_bytes, body_bytes, within_ms


def read(cls: type[T], data: bytes, *, limit: int = MAX_HEAD_BYTES) -> T:
    """Return the head ``data``. Raises MalformedError where it is no ``cls``."""
    try:
        return records.from_json(cls, data, limit=limit)
    except records.RecordError as e:
        raise MalformedError(f"head: {e}") from e
