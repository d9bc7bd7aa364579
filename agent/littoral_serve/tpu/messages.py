"""What serve and a TPU's child say to each other: a message a packet, over a pair of sockets.

    serve   Seating (its command line)   Load   Run   Drop
    child   Opened | Lacking             Loaded | Ran | Dropped | Failed: one for each order

What is said with each request is a few bytes; the rest is JSON. A packet begins with the letter
of its kind. Whoever says something else is not to be talked to any longer.
"""

import struct
from dataclasses import dataclass
from typing import Final

from littoral import records
from littoral.bundle.manifest import Tensor
from littoral.errors import MalformedError

MAX_BYTES: Final = 64 * 1024
_RUN, _DROP, _RAN = struct.Struct("<cI"), struct.Struct("<cI"), struct.Struct("<cIQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """Which TPU to open, and the most that may be taken for it."""

    library: str = ""  # another delegate's, which has no devices to choose among
    device: str = ""  # as the library names it: usb:0, pci, …; empty: the first that is free
    taken: tuple[str, ...] = ()  # the paths of those that others of ours have
    address_space_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    device: str
    path: str
    version: str  # of the library
    listed: int  # how many TPUs it sees


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """No TPU could be opened; the child ends."""

    code: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """With it come two descriptors: the model's file, and the memory for its tensors."""

    number: int
    what: str  # for people
    sha256: str
    size: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """It is there, as the manifest says, and was run on zeros."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The inputs are in memory, and the outputs shall be."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    number: int
    ns: int  # that the runtime took


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The order was not done, and the child goes on; the code is an error's of ours."""

    code: str
    error: str


Message = Opened | Lacking | Load | Loaded | Run | Ran | Drop | Dropped | Failed
_KINDS: Final[dict[bytes, type[Message]]] = {
    b"o": Opened,
    b"l": Lacking,
    b"L": Load,
    b"d": Loaded,
    b"D": Dropped,
    b"f": Failed,
}
_LETTERS: Final = {kind: letter for letter, kind in _KINDS.items()}


def pack(message: Message) -> bytes:
    """Return ``message`` as one packet."""
    match message:
        case Run(number=number):
            return _RUN.pack(b"r", number)
        case Ran(number=number, ns=ns):
            return _RAN.pack(b"R", number, ns)
        case Drop(number=number):
            return _DROP.pack(b"x", number)
        case _:
            return _LETTERS[type(message)] + records.to_json(message)


def unpack(data: bytes) -> Message:
    """Return what ``pack`` wrote. Raises MalformedError."""
    try:
        match data[:1]:
            case b"r":
                return Run(number=_RUN.unpack(data)[1])
            case b"R":
                _, number, ns = _RAN.unpack(data)
                return Ran(number=number, ns=ns)
            case b"x":
                return Drop(number=_DROP.unpack(data)[1])
            case letter:
                return records.from_json(_KINDS[letter], data[1:], limit=MAX_BYTES)
    except (struct.error, KeyError, records.RecordError) as e:
        raise MalformedError(f"a TPU's child: expected an order or an answer, found {e}") from e
