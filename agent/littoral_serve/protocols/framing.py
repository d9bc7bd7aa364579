"""One local program's connection: bytes to frames and back, in order. Knows no model.

It begins before anybody can say what its client speaks: where the first byte is no frame's, HTTP
takes over. One buffer holds what has arrived. A request looks at its tensors in there, and takes
the buffer along where its answer comes later.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol, cast

import numpy as np

from littoral.errors import MalformedError, UnsupportedFormatError
from littoral.wire import frames
from littoral.wire.frames import HEADER, MAGIC, MAX_HEAD_BYTES, Kind
from littoral_serve.http.bodies import FULL, OWN
from littoral_serve.http.server import Server
from littoral_serve.protocols.frames import DEFECT, Question

_LEAST_BYTES: Final = 4096
_KEPT_BYTES: Final = OWN  # of a buffer, from one request to the next
_AT_A_TIME: Final = 16  # requests that came together, before other connections get their turn
_LINGER_S: Final = 2.0  # a refused client is read on, or it would see a reset and no reason

log = logging.getLogger(__name__)


class Leaving(Protocol):
    """What is asked for a client, who may leave before it is answered."""

    def leave(self) -> None: ...


class Answers(Protocol):
    """What answers frames."""

    def question(self, head: bytes, body: memoryview, *, within_ms: int) -> Question: ...
    def run(
        self, asked: Question, arrived_ns: int, give: Callable[[bytes], None]
    ) -> Leaving | None: ...
    def describe(self, head: bytes) -> bytes: ...


class Framed(asyncio.BufferedProtocol):
    """One client. It is refused for good where nobody can tell where its next frame begins."""

    def __init__(self, server: Server, answers: Answers) -> None:
        self._server, self._answers = server, answers
        self._limits = server.limits
        self._transport = cast("asyncio.Transport", None)
        self._view = _room(_LEAST_BYTES)
        self._lent: memoryview | None = None  # to the request that runs
        self._at = self._have = 0  # where the next frame begins, where the next byte goes
        self._need = 1  # until there something can be done
        self._sized = False  # its header was read:
        self._frame = 0  # it has so many bytes, of which a large one gets room as it arrives
        self._held = 0  # of a large frame, in the buffer here or in the one that is lent
        self._kind = self._head = self._within_ms = 0
        self._running: Leaving | None = None
        self._given = True
        self._last: Question | None = None  # it began as the next one most likely begins,
        self._start, self._whole = b"", 0  # so; it had so many bytes,
        self._place = self._view  # and was here
        self._spoken = self._crowded = self._refused = self._stuffed = self._scheduled = False
        self._reading = True
        self._mark = time.monotonic()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._crowded = len(self._server.connections) >= self._limits.max_connections
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.connections.discard(self)
        self._refused = True
        if self._running is not None:
            self._running.leave()  # what runs holds its buffer until it is done
        else:
            self._let_go()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._view[self._have :] if self._have else self._view

    def buffer_updated(self, nbytes: int) -> None:
        if self._refused:
            return
        if not self._have:
            self._mark = time.monotonic()
        self._have += nbytes
        if self._have >= self._need:
            self._advance()

    def eof_received(self) -> bool:
        return False  # whoever says nothing more does not listen either

    def pause_writing(self) -> None:
        self._stuffed = True
        self._mark = time.monotonic()

    def resume_writing(self) -> None:
        self._stuffed = False
        self._mark = time.monotonic()
        self._advance()

    # What the server asks

    @property
    def busy(self) -> bool:
        return self._running is not None or (self._sized and self._have >= self._need)

    def check(self, now: float) -> None:
        """Close this connection if its client took too long."""
        waited = now - self._mark
        slow = waited > self._limits.receive_timeout_s
        if self._refused or self._crowded:
            if waited > _LINGER_S:
                self._transport.abort()
        elif self._transport.is_closing() or self._stuffed:
            if slow:
                self._transport.abort()
        elif self._running is not None:
            pass
        elif self._have:
            if slow:
                self._refuse("slow", "the frame did not arrive in time")
        elif waited > self._limits.keep_alive_s:
            self._transport.close()

    def close(self) -> None:
        self._transport.close()

    # What is done

    def _advance(self) -> None:
        """Answer what is here, as far as this connection may."""
        if self._have == self._whole and self._again():
            return
        self._scheduled = False
        turns = _AT_A_TIME
        while self._have >= self._need and self._given and not (self._stuffed or self._refused):
            if self._sized:
                if not turns:
                    self._later()
                    break
                turns -= 1
                self._take()
            elif self._spoken:
                self._size()
            else:
                self._hear()
        if not self._refused:
            self._make_room()
        elif self._held:
            self._let_go()

    def _hear(self) -> None:
        """Tell by its first byte what the client speaks."""
        self._crowded = len(self._server.connections) > self._limits.max_connections
        if self._view[0] == MAGIC[0]:
            self._spoken, self._need = True, HEADER.size
            if self._crowded:
                self._refuse("overloaded", "as many programs are connected as may")
            return
        self._server.connections.discard(self)
        self._refused = True
        http = self._server.protocol()
        self._transport.set_protocol(http)
        http.connection_made(self._transport)
        http.data_received(bytes(self._view[: self._have]))

    def _size(self) -> None:
        """Read the header of the frame that begins."""
        try:
            kind, head, body, within_ms = frames.sizes(self._view, self._at)
        except (MalformedError, UnsupportedFormatError) as e:
            self._refuse(e.code, str(e))
            return
        most = self._limits.max_body_bytes
        if kind not in (Kind.RUN, Kind.DESCRIBE):
            self._refuse("malformed", f"nothing is asked by a frame of kind {kind}")
        elif head > MAX_HEAD_BYTES:
            self._refuse("endless", f"a head may have at most {MAX_HEAD_BYTES} bytes")
        elif body > most:
            self._refuse("endless", f"a body may have at most {most} bytes")
        else:
            self._kind, self._head, self._within_ms = kind, head, within_ms
            self._frame = HEADER.size + head + body
            self._need = self._at + min(self._frame, OWN)
            self._sized = True
            if not self._server.bodies.fits(self._frame):
                self._refuse("overloaded", FULL)

    def _more(self, size: int) -> None:
        """Let ``size`` bytes of a large frame come, or all."""
        size = min(size, self._frame)
        if not self._server.bodies.resize(self._held, max(size, self._held)):
            self._refuse("overloaded", FULL)
            return
        self._held = max(size, self._held)
        self._need = self._at + size

    def _take(self) -> None:
        """Have the frame that is whole answered; or more come of a large one."""
        view, end = self._view, self._need
        if end - self._at < self._frame:
            self._more(2 * (end - self._at))
            return
        begins = self._at + HEADER.size
        body = begins + self._head
        head = view[begins:body].tobytes()
        alone = begins == HEADER.size and end == self._have
        self._sized = False
        if end == self._have:
            self._at, self._have, self._need = 0, 0, HEADER.size
        else:
            self._at, self._need = end, end + HEADER.size
            self._mark = time.monotonic()
        if self._kind == Kind.DESCRIBE:
            self._give(self._answers.describe(head))
            return
        asked = self._answers.question(head, view[body:end], within_ms=self._within_ms)
        if alone and end <= _KEPT_BYTES:
            self._last, self._place = asked, view
            self._start, self._whole = view[:body].tobytes(), end
        self._run(asked)

    def _again(self) -> bool:
        """Ask once more what was asked before, where all but the tensors is the same.

        The header is not read, nor the head: most programs ask the same all day.
        """
        last, start, view = self._last, self._start, self._view
        if last is None or self._place is not view or view[: len(start)].tobytes() != start:
            return False
        if self._at or not (self._given and self._reading) or self._stuffed or self._refused:
            return False
        self._have, self._need, self._sized = 0, HEADER.size, False
        self._run(last)
        return True

    def _run(self, asked: Question) -> None:
        self._given = False
        try:
            running = self._answers.run(asked, time.perf_counter_ns(), self._give)
        except Exception:
            log.exception("a frame of %d bytes failed", len(asked.body))
            if not self._given:
                self._give(DEFECT)
            return
        if not self._given:
            self._running = running
            self._lend()

    def _give(self, data: bytes) -> None:
        """Send an answer; go on, where it was waited for."""
        self._given = True
        if not self._transport.is_closing():
            self._transport.write(data)
            if self._server.closing:
                self._transport.close()
        if self._running is None:
            return
        self._running = None
        self._mark = time.monotonic()
        if not self._have and self._lent is not None:
            self._view = self._lent
        self._lent = None
        self._advance()

    def _refuse(self, code: str, words: str) -> None:
        """Refuse the client for good: where its next frame begins, nobody knows."""
        self._refused = True
        if not self._reading:
            self._transport.resume_reading()
        self._mark = time.monotonic()
        self._view, self._at, self._have = _room(_LEAST_BYTES), 0, 0
        self._let_go()
        self._transport.write(frames.refusal(code, words))
        self._transport.write_eof()

    def _lend(self) -> None:
        """Leave the buffer to the request that runs, and go on with another."""
        self._lent = self._view
        self._move(_LEAST_BYTES)

    def _make_room(self) -> None:
        """Let what is still to come have a place; give back what is not needed any more."""
        if self._need - self._at > len(self._view) - self._at:
            self._move(self._need - self._at)
        elif not self._have and len(self._view) > _KEPT_BYTES:
            self._view = _room(_LEAST_BYTES)
        if self._held and self._lent is None and len(self._view) <= _KEPT_BYTES:
            self._let_go()
        if self._have == len(self._view) or not self._reading:
            self._throttle()

    def _let_go(self) -> None:
        """Give back what was taken for a large frame."""
        self._server.bodies.give(self._held)
        self._held = 0

    def _move(self, size: int) -> None:
        """Take the bytes that are here into a new buffer, of ``size`` or more."""
        rest = self._view[self._at : self._have]
        self._view = _room(max(size, len(rest), _LEAST_BYTES))
        self._view[: len(rest)] = rest
        self._need -= self._at
        self._at, self._have = 0, len(rest)

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._advance)

    def _throttle(self) -> None:
        """Read on only where there is room, which a client that does not wait may use up."""
        if self._transport.is_closing():
            return
        full = self._have == len(self._view)
        if full and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not full and not self._reading:
            self._reading = True
            self._transport.resume_reading()


def _room(size: int) -> memoryview:
    """Return so many bytes. They cost memory only when something is written to them."""
    return np.empty(size, np.uint8).data
