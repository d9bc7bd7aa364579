"""What arrives on one connection, into whole frames, or the one refusal that is the end of it.

One buffer holds what has arrived. A request looks at its tensors in there, and takes the buffer
along where its answer comes later. What begins as the last frame did is not read anew. Knows no
transport, and not what is answered.
"""

from typing import Final

import numpy as np

from littoral.errors import MalformedError, UnsupportedFormatError
from littoral.wire import frames
from littoral.wire.frames import MAX_HEAD_BYTES, Kind, Refused
from littoral_serve.http.bodies import FULL, OWN, Bodies
from littoral_serve.protocols.frames import Question

HEADER_BYTES: Final = frames.HEADER.size
_LEAST_BYTES: Final = 4096
_KEPT_BYTES: Final = OWN  # of a buffer, from one request to the next
_ASKS: Final = (Kind.RUN, Kind.DESCRIBE)
_RUN: Final = Kind.RUN  # to look it up in its class takes longer than all else of a comparison
_NO_ROOM: Final = Refused(code="overloaded", error=FULL)


class Incoming:
    """Bytes are put at buffer[have:]; there is nothing to do before there are ``need`` of them.

    Whose connection this is looks at the fields, and sets ``have``: calls would take longer.
    """

    __slots__ = (
        "_asked_in",
        "_bodies",
        "_head",
        "_held",
        "_lent",
        "_most",
        "_start",
        "again_bytes",
        "alone",
        "asked",
        "at",
        "buffer",
        "have",
        "kind",
        "left",
        "need",
        "sized",
        "within_ms",
    )

    def __init__(self, bodies: Bodies, *, most_body_bytes: int) -> None:
        self._bodies, self._most = bodies, most_body_bytes
        self.buffer = _room(_LEAST_BYTES)
        self._lent: memoryview | None = None  # to the request that runs
        self.at = self.have = 0  # where the next frame begins, where the next byte goes
        self.need = 1  # until there something can be done
        self.sized = False  # its header was read:
        self.kind = self._head = self.within_ms = 0
        self.left = 0  # bytes of a large frame that get room only as it arrives
        self._held = 0  # of a large frame, in the buffer here or in the one that is lent
        self.alone = False  # what was taken last was all that was here, and may be
        self.asked: Question | None = None  # asked again, by what begins
        self._start, self.again_bytes = b"", -1  # so, has so many bytes,
        self._asked_in = self.buffer  # and lies in this buffer

    def again(self) -> Question | None:
        """Take what is here, ``again_bytes``, where it begins as what was asked last; return that.

        The header is not read, nor the head: most programs ask the same all day.
        """
        start, buffer = self._start, self.buffer
        if self._asked_in is not buffer or buffer[: len(start)].tobytes() != start:
            return None
        # What begins so is as long as that: no frame before it was taken from here.
        self.have, self.need, self.sized = 0, HEADER_BYTES, False
        return self.asked

    def begin(self) -> Refused | None:
        """Read the header of the frame that begins; return why nothing more is read."""
        try:
            kind, head, body, within_ms = frames.sizes(self.buffer, self.at)
        except (MalformedError, UnsupportedFormatError) as e:
            return Refused(code=e.code, error=str(e))
        if kind not in _ASKS:
            return Refused(code="malformed", error=f"nothing is asked by a frame of kind {kind}")
        if head > MAX_HEAD_BYTES:
            return _endless("head", MAX_HEAD_BYTES)
        if body > self._most:
            return _endless("body", self._most)
        self.kind, self._head, self.within_ms = kind, head, within_ms
        size = HEADER_BYTES + head + body
        first = min(size, OWN)
        self.need, self.left = self.at + first, size - first
        self.sized = True
        return None if self._bodies.fits(size) else _NO_ROOM

    def grow(self) -> Refused | None:
        """Let as much again of a large frame come, or all; return why not."""
        here = self.need - self.at
        more = min(here, self.left)
        held = max(here + more, self._held)
        if not self._bodies.resize(self._held, held):
            return _NO_ROOM
        self._held = held
        self.need += more
        self.left -= more
        return None

    def take(self) -> tuple[bytes, memoryview]:
        """Return head and body of the frame, which is whole; the next one begins."""
        buffer, have, end = self.buffer, self.have, self.need
        begins = self.at + HEADER_BYTES
        body = begins + self._head
        self.alone = begins == HEADER_BYTES and end == have <= _KEPT_BYTES and self.kind == _RUN
        if self.alone:
            self.asked, self._asked_in = None, buffer
            self._start, self.again_bytes = buffer[:body].tobytes(), end
        self.sized = False
        if end == have:
            self.at, self.have, self.need = 0, 0, HEADER_BYTES
        else:
            self.at, self.need = end, end + HEADER_BYTES
        return buffer[begins:body].tobytes(), buffer[body:end]

    def lend(self) -> None:
        """Leave the buffer to the request that runs, and go on with another."""
        self._lent = self.buffer
        self._move(_LEAST_BYTES)

    def get_back(self) -> None:
        """Go on with the buffer that was lent, where nothing is in the other one."""
        if not self.have and self._lent is not None:
            self.buffer = self._lent
        self._lent = None

    def make_room(self) -> None:
        """Let what is still to come have a place; give back what is not needed any more."""
        if self.need > len(self.buffer):
            self._move(self.need - self.at)
        elif not self.have and len(self.buffer) > _KEPT_BYTES:
            self.buffer = _room(_LEAST_BYTES)
        if self._held and self._lent is None and len(self.buffer) <= _KEPT_BYTES:
            self.let_go()

    def let_go(self) -> None:
        """Give back what was taken for a large frame."""
        self._bodies.give(self._held)
        self._held = 0

    def drop(self) -> None:
        """Forget what came."""
        self.buffer, self.at, self.have = _room(_LEAST_BYTES), 0, 0
        self.let_go()

    def _move(self, size: int) -> None:
        """Take the bytes that are here into a new buffer, of ``size`` or more."""
        if not self.have:
            self.buffer = _room(size)
            return
        rest = self.buffer[self.at : self.have]
        self.buffer = _room(max(size, len(rest), _LEAST_BYTES))
        self.buffer[: len(rest)] = rest
        self.need -= self.at
        self.at, self.have = 0, len(rest)


def _endless(part: str, most: int) -> Refused:
    return Refused(code="endless", error=f"a {part} may have at most {most} bytes")


def _room(size: int) -> memoryview:
    """Return so many bytes. They cost memory only when something is written to them."""
    return np.empty(size, np.uint8).data
