"""One client's connection: HTTP/1.1 on asyncio and httptools, requests in, responses in order out.

A handler is called with a whole request and returns a response, a Later, or an awaitable of one.
Pipelined requests are answered in their order; one connection gives way to the others after a
few of them. Knows no model.
"""

import asyncio
import logging
import sys
import time
from collections import deque
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import httptools

from littoral_serve.http.again import NOTHING, began, head_of
from littoral_serve.http.bodies import OWN, Arriving, Wrong
from littoral_serve.http.messages import Later, Request, Response, encode, plain

if TYPE_CHECKING:
    from littoral_serve.http.server import Server

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100
_AT_A_TIME: Final = 16  # pipelined requests, before other connections get their turn
_MOST_WAITING: Final = 64  # before no more is read from this connection
_MOST_WAITING_BYTES: Final = OWN  # of their bodies, likewise
_SMALL_BYTES: Final = 4096  # of a request that is copied out of what all read into
_LINGER_S: Final = 2.0  # a refused client is read on, or it would see a reset and no reason

log = logging.getLogger(__name__)


# What all connections read into: what they keep of it they copy, before the next one reads.
_ROOM: Final = memoryview(bytearray(256 * 1024))


class Connection(asyncio.BufferedProtocol):
    """One client. The ``on_`` methods are httptools'."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._limits = server.limits
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request | Response] = deque()  # a Response: the last, then close
        self._running: asyncio.Future[Response] | Later | None = None
        self._transport = cast("asyncio.Transport", None)
        self._receiving = False
        self._refused = self._ended = self._stuffed = self._scheduled = self._lingers = False
        self._reading = True
        self._continue_due = False
        self._mark = time.monotonic()
        self._begun = self._head_fed = 0
        self._start, self._fed = b"", 0  # the head of what is parsed, and its bytes so far
        self._again = NOTHING
        self._place: memoryview | None = None  # for a whole request that begins so,
        self._have = 0  # of which so much is here
        self._follows = False  # a request arrives that begins so
        self._body = Arriving(server.bodies, most=self._limits.max_body_bytes)
        self._begin()

    # What the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        refusal = self._server.admit(transport) if self._server.admit else None
        if len(self._server.connections) >= self._limits.max_connections:
            refusal = plain(HTTPStatus.SERVICE_UNAVAILABLE)
        self._server.connections.add(self)
        if refusal:
            self._refuse(refusal)
            self._drain()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.connections.discard(self)
        self._forget()
        self._ended = True
        if self._running is not None:
            self._running.cancel()  # what runs holds its body until it is done
        # The two hold each other: what a client sent would stay until the collector comes by.
        self._begin()
        self._place = None
        del self._parser

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return _ROOM if self._place is None else self._place[self._have :]

    def buffer_updated(self, nbytes: int) -> None:
        again, place = self._again, self._place
        at, size = len(again.head), again.size
        if place is not None:
            self._fill(place, nbytes)
        elif self._follows:
            self._piece(_ROOM[:nbytes].tobytes())
        elif not at <= nbytes <= size or self._receiving or _ROOM[:at].tobytes() != again.head:
            self.data_received(_ROOM[:nbytes].tobytes())
        elif nbytes == size:
            self._repeat(_ROOM[at:nbytes].tobytes())
        elif not self._refused:
            self._follow(_ROOM[at:nbytes].tobytes())

    def _fill(self, place: memoryview, nbytes: int) -> None:
        """Take a piece of a request that begins as the last one to where it stays."""
        at = len(self._again.head)
        if not self._have:
            if nbytes < at or self._receiving or place[:at].tobytes() != self._again.head:
                self._place = None
                self.data_received(place[:nbytes].tobytes())
                return
            if self._refused:
                return
            self._receiving = True
            self._mark = time.monotonic()
        self._have += nbytes
        if self._have == len(place):
            self._have, self._receiving = 0, False
            self._repeat(place[at:])
            if self.busy:  # it is lent to what runs, or waits
                self._place = memoryview(bytearray(len(place)))

    def _follow(self, piece: bytes) -> None:
        """Take the first piece of a request that began as the last one."""
        self._follows = self._receiving = True
        self._mark = time.monotonic()
        wrong = self._body.expect(self._again.size - len(self._again.head))
        if wrong:
            self._turn_away(wrong, self._again.target)
        else:
            self._piece(piece)

    def _piece(self, piece: bytes) -> None:
        again, body = self._again, self._body
        left = again.size - len(again.head) - body.size
        if len(piece) > left:  # the next one came along
            self._follows = self._receiving = False
            whole = body.done()
            self._server.bodies.give(len(whole))
            self.data_received(b"".join((again.head, whole, piece)))
        elif wrong := body.add(piece):
            self._turn_away(wrong, again.target)
        elif len(piece) == left:
            self._follows = self._receiving = False
            self._repeat(body.done())

    def _turn_away(self, wrong: Wrong, target: bytes) -> None:
        self._refuse(self._why(wrong, target))
        self._drain()

    def _repeat(self, data: bytes | memoryview) -> None:
        """Have the last request answered with another body: it is not parsed anew."""
        if not self._refused:
            self._mark = time.monotonic()
            now = time.perf_counter_ns()
            self._waiting.append(self._again.request(data, arrived_ns=now))
            self._drain()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        before, fresh = (self._begun, self._body.size), not self._receiving
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(plain(HTTPStatus.BAD_REQUEST, "no other protocol is spoken here"))
        except httptools.HttpParserError:
            if not self._refused:
                self._refuse(plain(HTTPStatus.BAD_REQUEST))
        # Neither a body nor another request: a head, the names of chunks, trailers.
        all_head = self._receiving and before == (self._begun, self._body.size)
        self._head_fed = self._head_fed + len(data) if all_head else 0
        if self._head_fed > MAX_HEAD_BYTES and not self._refused:
            self._refuse(plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        if fresh:
            self._start, self._fed = head_of(data), 0
        self._fed += len(data)
        if self._begun != before[0] + fresh:
            self._start = b""
        if not self._receiving and self._start and self._waiting:
            self._remember()
        self._drain()

    def eof_received(self) -> bool:
        self._refused = self._ended = True
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

    # What httptools says

    def on_message_begin(self) -> None:
        self._begin()
        self._begun += 1
        self._receiving = True
        self._mark = time.monotonic()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"host" and name in self._headers:
            self._stop(plain(HTTPStatus.BAD_REQUEST))
        self._headers[name] = value
        self._count += 1
        if self._count > MAX_HEADERS:
            self._stop(plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def on_headers_complete(self) -> None:
        announced = self._headers.get(b"content-length", b"0")
        if wrong := self._body.expect(int(announced) if announced.isdigit() else sys.maxsize):
            self._stop(self._why(wrong, self._target))
        self._continue_due = self._headers.get(b"expect", b"").lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        if wrong := self._body.add(body):
            self._stop(self._why(wrong, self._target))

    def on_message_complete(self) -> None:
        self._receiving = self._continue_due = False
        parser = self._parser
        request = Request(
            parser.get_method().decode("ascii"),
            self._target,
            self._headers,
            self._body.done(),
            parser.should_keep_alive() and parser.get_http_version() == "1.1",
            time.perf_counter_ns(),
        )
        self._begin()  # a connection that stays open does not keep what it brought
        self._waiting.append(request)
        if not request.keep_alive:
            self._refused = True

    # What the server asks

    @property
    def busy(self) -> bool:
        return self._running is not None or bool(self._waiting)

    def check(self, now: float) -> None:
        """Close this connection if its client took too long."""
        waited = now - self._mark
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
        elif self._receiving and slow:
            self._refuse(plain(HTTPStatus.REQUEST_TIMEOUT))
            self._drain()
        elif not self._receiving and waited > self._limits.keep_alive_s:
            self._transport.close()

    def close(self) -> None:
        self._transport.close()

    # What is done

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._count = 0

    def _remember(self) -> None:
        """Keep how the last request began, if all of it is there, and nothing else is."""
        one, self._place = self._waiting[-1], None
        if isinstance(one, Request) and one.keep_alive:
            self._again = again = began(self._start, one, size=self._fed) or self._again
            if _SMALL_BYTES < again.size <= OWN:
                self._place = memoryview(bytearray(again.size))

    def _why(self, wrong: Wrong, target: bytes) -> Response:
        if wrong is Wrong.FULL:
            return self._server.busy(target)
        most = self._limits.max_body_bytes
        return plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have at most {most} bytes")

    def _refuse(self, response: Response) -> None:
        self._refused = True
        self._receiving = self._continue_due = self._follows = False
        self._body.drop()
        self._waiting.append(response)

    def _stop(self, response: Response) -> None:
        """Refuse from within a callback: what httptools still holds is not looked at."""
        self._refuse(response)
        raise ValueError(response.status)

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
        if self._continue_due and not self.busy:
            self._continue_due = False
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
            if len(item.data) > OWN:
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
            self._given(request, plain(HTTPStatus.INTERNAL_SERVER_ERROR))
        else:
            self._given(request, done.result())

    def _given(self, request: Request, response: Response) -> None:
        """Send the response that was awaited, and go on."""
        self._running = None
        if len(request.data) > OWN:
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
        self._refused = self._ended = True
        self._follows = False

    def _forget(self) -> None:
        """Forget what waits, and what arrives."""
        self._body.drop()
        for one in self._waiting:
            if isinstance(one, Request):
                self._server.bodies.give(len(one.data))
        self._waiting.clear()

    def _linger(self, out: list[bytes]) -> None:
        self._lingers = True
        self._mark = time.monotonic()
        self._transport.write(b"".join(out))
        out.clear()
        self._transport.write_eof()

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    @property
    def _much_waits(self) -> bool:
        if len(self._waiting) >= _MOST_WAITING:
            return True
        return sum(len(one.body) for one in self._waiting) >= _MOST_WAITING_BYTES

    def _throttle(self) -> None:
        if self._transport.is_closing():
            return
        # While an answer is awaited, reading goes on: a client that hangs up is not noticed else.
        full = self._stuffed or (bool(self._waiting) and self._much_waits)
        if full and self._reading:
            self._reading = False
            self._transport.pause_reading()
        elif not full and not self._reading:
            self._reading = True
            self._transport.resume_reading()
