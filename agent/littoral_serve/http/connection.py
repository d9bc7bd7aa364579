"""One client's connection: HTTP/1.1 on asyncio, requests in, responses in order out.

A handler is called with a whole request and returns a response, a Later, or an awaitable of one.
Pipelined requests are answered in their order; one connection gives way to the others after a
few of them. Knows no model, and nothing of how a request is read.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from littoral_serve.http.bodies import OWN
from littoral_serve.http.incoming import Incoming
from littoral_serve.http.messages import Later, Request, Response, encode, failure

if TYPE_CHECKING:
    from littoral_serve.http.server import Server

_AT_A_TIME: Final = 16  # pipelined requests, before other connections get their turn
_MOST_WAITING: Final = 64  # before no more is read from this connection
_MOST_WAITING_BYTES: Final = OWN  # of their bodies, likewise
_LINGER_S: Final = 2.0  # a refused client is read on, or it would see a reset and no reason

log = logging.getLogger(__name__)


class Connection(asyncio.BufferedProtocol):
    """One client."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._limits = server.limits
        self._waiting: deque[Request | Response] = deque()  # a Response: the last, then close
        self._running: asyncio.Future[Response] | Later | None = None
        self._transport = cast("asyncio.Transport", None)
        self._ended = self._stuffed = self._scheduled = self._lingers = self._paused = False
        self._mark = time.monotonic()
        self._incoming = Incoming(
            self._waiting,
            bodies=server.bodies,
            most_body_bytes=self._limits.max_body_bytes,
            full=server.full,
        )

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        refusal = self._server.admit(transport) if self._server.admit else None
        if len(self._server.connections) >= self._limits.max_connections:
            refusal = failure(HTTPStatus.SERVICE_UNAVAILABLE)
        self._server.connections.add(self)
        if refusal:
            self._incoming.refuse(refusal)
            self._drain()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.connections.discard(self)
        self._forget()
        self._ended = True
        if self._running is not None:
            self._running.cancel()  # what runs holds its body until it is done
        self._incoming.end()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._incoming.room()

    def buffer_updated(self, nbytes: int) -> None:
        if self._incoming.took(nbytes):
            self._drain()
            if self._incoming.filled and self.busy:  # what runs, or waits, lies there
                self._incoming.leave()

    def data_received(self, data: bytes) -> None:
        """Take what came before this was the transport's protocol."""
        if self._incoming.parsed(data):
            self._drain()

    def eof_received(self) -> bool:
        self._ended = True
        self._incoming.deafen()
        if self._server.leaving_cancels:
            return False
        return self.busy  # True: the client reads on, so it gets what it asked for

    def pause_writing(self) -> None:
        self._stuffed = True
        self._mark = time.monotonic()

    def resume_writing(self) -> None:
        self._stuffed = False
        self._mark = time.monotonic()
        self._drain()

    # What the server asks

    @property
    def busy(self) -> bool:
        return self._running is not None or bool(self._waiting)

    def check(self, now: float) -> None:
        """Close this connection if its client took too long."""
        waited = now - max(self._mark, self._incoming.mark)
        slow = waited > self._limits.receive_timeout_s
        if self._lingers:
            if waited > _LINGER_S:
                self._transport.abort()
        elif self._transport.is_closing():
            # Closing waits until all is sent, which a client that does not read can put off.
            if slow:
                self._transport.abort()
        elif self._stuffed:
            if slow:
                self._transport.abort()
        elif self._running is not None:
            pass
        elif self._incoming.receiving and slow:
            self._incoming.refuse(failure(HTTPStatus.REQUEST_TIMEOUT))
            self._drain()
        elif not self._incoming.receiving and waited > self._limits.keep_alive_s:
            self._transport.close()

    def close(self) -> None:
        self._transport.close()

    # What is done

    def _drain(self) -> None:
        """Answer what waits, as far as this connection may."""
        self._scheduled = False
        out: list[bytes] = []
        turns = _AT_A_TIME
        while self._waiting and self._running is None and not self._stuffed:
            if not turns:
                self._later()
                break
            turns -= 1
            self._next(out)
        if self._incoming.continue_due and not self.busy:
            self._incoming.continue_due = False
            out.append(b"HTTP/1.1 100 Continue\r\n\r\n")
        if out:
            self._mark = time.monotonic()
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._ended and not self.busy and not self._lingers:
            self._transport.close()
        self._throttle()

    def _next(self, out: list[bytes]) -> None:
        item = self._waiting.popleft()
        if isinstance(item, Response):
            out.append(encode(item, keep=False))
            self._end()
            self._linger(out)
            return
        answer = self._server.answer(item)
        if isinstance(answer, Later):
            if answer.response is None:
                self._running = answer
                answer.then(partial(self._given, item))
                return
            answer = answer.response
        if isinstance(answer, Response):
            self._server.bodies.give(len(item.data))
            self._finish(item, answer, out)
        else:
            self._running = asyncio.ensure_future(answer)
            self._running.add_done_callback(partial(self._waited, item))

    def _waited(self, request: Request, done: asyncio.Future[Response]) -> None:
        if done.cancelled():
            self._server.bodies.give(len(request.data))
        elif error := done.exception():
            log.error("%s %r failed", request.method, request.target[:200], exc_info=error)
            self._given(request, failure(HTTPStatus.INTERNAL_SERVER_ERROR))
        else:
            self._given(request, done.result())

    def _given(self, request: Request, response: Response) -> None:
        """Send the response that was awaited, and go on."""
        self._running = None
        self._server.bodies.give(len(request.data))
        if self._transport.is_closing():
            return
        out: list[bytes] = []
        self._finish(request, response, out)
        self._mark = time.monotonic()
        self._transport.write(b"".join(out))
        self._drain()

    def _finish(self, request: Request, response: Response, out: list[bytes]) -> None:
        keep = request.keep_alive and not self._server.closing
        out.append(encode(response, keep=keep, head=request.method == "HEAD"))
        if not keep:
            self._end()

    def _end(self) -> None:
        self._forget()
        self._ended = True
        self._incoming.deafen()

    def _forget(self) -> None:
        """Forget what waits, and what arrives."""
        self._incoming.drop()
        for one in self._waiting:
            if isinstance(one, Request):
                self._server.bodies.give(len(one.data))
        self._waiting.clear()

    def _linger(self, out: list[bytes]) -> None:
        self._lingers = True
        self._mark = time.monotonic()
        self._transport.write(b"".join(out))
        out.clear()
        with contextlib.suppress(OSError):  # who has left and is written to resets the connection
            self._transport.write_eof()

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    @property
    def _much_waits(self) -> bool:
        if len(self._waiting) >= _MOST_WAITING:
            return True
        held = (len(one.data) for one in self._waiting if isinstance(one, Request))
        return sum(held) >= _MOST_WAITING_BYTES

    def _throttle(self) -> None:
        if self._transport.is_closing():
            return
        # While an answer is awaited, reading goes on: a client that hangs up is not noticed else.
        full = self._stuffed or (bool(self._waiting) and self._much_waits)
        if full and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        elif not full and self._paused:
            self._paused = False
            self._transport.resume_reading()
