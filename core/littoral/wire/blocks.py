"""How a file of the repository comes over the broker: the device asks, the console answers.

| topic below ``littoral/devices/<id>/`` | says | body |
|---|---|---|
| ``up/ask`` | which bytes of which file come next | Ask, binary |
| ``down/block`` | these bytes, or why there are none | Block, binary |

For devices that reach nothing but the broker. All that the repository holds can be asked for by
its name, and the time as ``time/<nonce>`` (the answer is a SignedTime, JSON). What arrives is
believed as from anywhere: metadata by signatures, files by their digest.

Both travel at quality 0, and nobody keeps them: what is lost is asked for again. Blocks come in
the order in which they were asked for; one that comes before an older one says that the older one
is lost. Who hears nothing at all asks again after a time that it learnt from the answers before.

The device decides how much is under way: as much as came in a second, or in two round trips
where those are longer (three, until it knows the line), 4 KiB at least and 512 KiB at most. So what
else is said on its line waits for a second or two behind blocks, however slow the line is. Where it
goes on is what has arrived.

Of several consoles each hears every ask. Who knows none of them names none, and asks how long the
file is (length 0): each answers, and only the one that answered first is asked for bytes. So no
shared subscription is needed, which any device could join, and which not every broker has.

The console answers all devices in turn, a block each. Of one device it keeps the newest 16 asks.
It sends 1 MiB at most beyond what the device has shown to have heard, by the mark of a block that
it repeats in its asks: else one that asks and never reads would fill the broker's memory.
"""

import enum
import re
import struct
from dataclasses import dataclass
from typing import Final

from littoral.errors import MalformedError

MOST_BLOCK: Final = 32 * 1024  # bytes of a file in one block
MOST_ASKED: Final = 256 * 1024  # … in one ask
MOST_ASKS: Final = 16  # of one device that wait; the oldest gives way
MOST_UNHEARD: Final = 1024 * 1024  # sent to one device that has not shown to have heard it
TIME: Final = "time/"  # and a nonce: what time it is

_ASK: Final = struct.Struct(">BIcIQI")
_BLOCK: Final = struct.Struct(">BIcBIQQ")
_FORMAT: Final = 1
_MOST_ASK: Final = _ASK.size + 256
_MOST_MESSAGE: Final = _BLOCK.size + MOST_BLOCK
_NOBODY: Final = b"\0"
_NAME: Final = re.compile(r"[A-Za-z0-9._/-]{1,256}")


class Answer(enum.IntEnum):
    """What a block brings."""

    BYTES = 0  # of the file, from its start on; none, if none were asked for
    FORGOTTEN = 1  # the repository does not hold the file
    SHORT = 2  # the file ends before that
    AWAY = 3  # the file cannot be read just now


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Some bytes of a file: format 1, then all of this in that order, big-endian."""

    number: int  # 4 bytes: what its blocks bear
    console: str = ""  # 1 byte: which replica answers, as a block said; none: any
    seen: int = 0  # 4 bytes: the mark of the newest block that was heard
    start: int = 0  # 8 bytes
    length: int = 0  # 4 bytes, 256 KiB at most; 0: how long is it?
    name: str  # the rest: in the repository, as metadata/timestamp.json; or time/<nonce>

    @property
    def end(self) -> int:
        return self.start + self.length

    def encode(self) -> bytes:
        console = self.console.encode() or _NOBODY
        numbers = (self.number, console, self.seen, self.start, self.length)
        return _ASK.pack(_FORMAT, *numbers) + self.name.encode()

    @classmethod
    def decode(cls, data: bytes) -> "Ask":
        """Read what ``encode`` wrote. Raises MalformedError."""
        if not _ASK.size < len(data) <= _MOST_ASK:
            raise MalformedError(f"ask: {len(data)} bytes are none")
        form, number, console, seen, start, length = _ASK.unpack_from(data)
        name = data[_ASK.size :].decode("ascii", "replace")
        if form != _FORMAT or not _NAME.fullmatch(name):
            raise MalformedError(f"ask: format {form}, of {name[:80]!r}")
        if length > MOST_ASKED or start >= 2**63:
            raise MalformedError(f"ask: {length} bytes from {start} on")
        return cls(
            number=number,
            console=_console(console),
            seen=seen,
            start=start,
            length=length,
            name=name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Bytes of a file: format 1, then all of this in that order, big-endian."""

    number: int  # 4 bytes: of the ask
    console: str  # 1 byte: which replica it is that answers
    answer: Answer = Answer.BYTES  # 1 byte: 0 bytes, 1 forgotten, 2 short, 3 away
    mark: int = 0  # 4 bytes: to be repeated as seen
    start: int = 0  # 8 bytes: the place of its first byte
    total: int = 0  # 8 bytes: how long the file is
    data: bytes = b""  # the rest, 32 KiB at most

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def encode(self) -> bytes:
        numbers = (self.number, self.console.encode(), self.answer, self.mark)
        return _BLOCK.pack(_FORMAT, *numbers, self.start, self.total) + self.data

    @classmethod
    def decode(cls, data: bytes) -> "Block":
        """Read what ``encode`` wrote. Raises MalformedError."""
        if not _BLOCK.size <= len(data) <= _MOST_MESSAGE:
            raise MalformedError(f"block: {len(data)} bytes are none")
        form, number, console, answer, mark, start, total = _BLOCK.unpack_from(data)
        if form != _FORMAT or console == _NOBODY:
            raise MalformedError(f"block: format {form}, of console {console!r}")
        try:
            found = Answer(answer)
        except ValueError as e:
            raise MalformedError(f"block: {e}") from e
        body = data[_BLOCK.size :]
        if start + len(body) > total:
            raise MalformedError(f"block: {len(body)} bytes from {start} on, of {total}")
        return cls(
            number=number,
            console=_console(console),
            answer=found,
            mark=mark,
            start=start,
            total=total,
            data=body,
        )


def _console(letter: bytes) -> str:
    if letter == _NOBODY:
        return ""
    if not b"a" <= letter <= b"z":
        raise MalformedError(f"there is no console {letter!r}")
    return letter.decode()
