"""One local program's connection: frames in, answers out, in their order. Knows no model.

It begins before anybody can say what its client speaks: where the first byte is no frame's, HTTP
takes over. How bytes become frames is the business of what arrives.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol, cast

from littoral.wire import frames
from littoral.wire.frames import MAGIC, Kind, Refused
from littoral_serve.http.server import Server
from littoral_serve.protocols.frames import DEFECT, Question
from littoral_serve.protocols.frames_incoming import HEADER_BYTES, Incoming

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
        self._incoming = Incoming(server.bodies, most_body_bytes=self._limits.max_body_bytes)
        self._running: Leaving | None = None
        self._given = True
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
            self._incoming.let_go()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        incoming = self._incoming
        return incoming.buffer[incoming.have :] if incoming.have else incoming.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._refused:
            return
        incoming = self._incoming
        have = incoming.have
        if not have:
            self._mark = time.monotonic()
        incoming.have = have = have + nbytes
        if have >= incoming.need:
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
        incoming = self._incoming
        return self._running is not None or (incoming.sized and incoming.have >= incoming.need)

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
        elif self._incoming.have:
            if slow:
                self._refuse(Refused(code="slow", error="the frame did not arrive in time"))
        elif waited > self._limits.keep_alive_s:
            self._transport.close()

    def close(self) -> None:
        self._transport.close()

    # What is done

    def _advance(self) -> None:
        """Answer what is here, as far as this connection may."""
        incoming = self._incoming
        if (
            incoming.have == incoming.again_bytes
            and not (self._stuffed or self._refused)
            and (self._given and self._reading)
            and (asked := incoming.again()) is not None
        ):
            self._run(asked)
            return
        self._scheduled = False
        turns = _AT_A_TIME
        while (
            incoming.have >= incoming.need and self._given and not (self._stuffed or self._refused)
        ):
            if incoming.sized:
                if not turns:
                    self._later()
                    break
                turns -= 1
                self._take()
            elif self._spoken:
                if refused := incoming.begin():
                    self._refuse(refused)
            else:
                self._hear()
        if self._refused:
            incoming.let_go()
            return
        incoming.make_room()
        if incoming.have == len(incoming.buffer) or not self._reading:
            self._throttle()

    def _hear(self) -> None:
        """Tell by its first byte what the client speaks."""
        incoming = self._incoming
        self._crowded = len(self._server.connections) > self._limits.max_connections
        if incoming.buffer[0] == MAGIC[0]:
            self._spoken, incoming.need = True, HEADER_BYTES
            if self._crowded:
                self._refuse(
                    Refused(code="overloaded", error="as many programs are connected as may")
                )
            return
        self._server.connections.discard(self)
        self._refused = True
        http = self._server.protocol()
        self._transport.set_protocol(http)
        http.connection_made(self._transport)
        http.data_received(bytes(incoming.buffer[: incoming.have]))

    def _take(self) -> None:
        """Have the frame that is whole answered; or more come of a large one."""
        incoming = self._incoming
        if incoming.left:
            if refused := incoming.grow():
                self._refuse(refused)
            return
        head, body = incoming.take()
        if incoming.have:
            self._mark = time.monotonic()
        if incoming.kind == Kind.DESCRIBE:
            self._give(self._answers.describe(head))
            return
        asked = self._answers.question(head, body, within_ms=incoming.within_ms)
        if incoming.alone:
            incoming.asked = asked
        self._run(asked)

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
            self._incoming.lend()

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
        self._incoming.get_back()
        self._advance()

    def _refuse(self, why: Refused) -> None:
        """Refuse the client for good: where its next frame begins, nobody knows."""
        self._refused = True
        if not self._reading:
            self._transport.resume_reading()
        self._mark = time.monotonic()
        self._incoming.drop()
        self._transport.write(frames.refusal(why.code, why.error))
        self._transport.write_eof()

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._advance)

    def _throttle(self) -> None:
        """Read on only where there is room, which a client that does not wait may use up."""
        if self._transport.is_closing():
            return
        full = self._incoming.have == len(self._incoming.buffer)
        if full and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not full and not self._reading:
            self._reading = True
            self._transport.resume_reading()
