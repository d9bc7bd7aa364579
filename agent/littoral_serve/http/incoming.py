"""What arrives on one connection, into whole requests, or the one refusal that is the end of it.

httptools parses; what begins as the last request did is not parsed anew. Knows no transport.
"""

import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from littoral_serve.http.again import NOTHING, began, head_of
from littoral_serve.http.bodies import OWN, Arriving, Bodies, Wrong
from littoral_serve.http.messages import Request, Response, failure
from littoral_serve.http.parsing import Parser
from littoral_serve.http.targets import origin_form

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100
_SMALL_BYTES: Final = 4096  # of a request that is copied out of what all read into

_ROOM: Final = memoryview(bytearray(256 * 1024))  # all read into it, and copy what they keep


class Incoming:
    """``found`` gets the requests in their order; a Response there is the last that is said.

    ``full``: what a path is answered while ``bodies`` hold all they may. ``on_``: for httptools.
    """

    def __init__(
        self,
        found: deque[Request | Response],
        *,
        bodies: Bodies,
        most_body_bytes: int,
        full: Callable[[bytes], Response],
    ) -> None:
        self._found, self._bodies, self._full = found, bodies, full
        self._most = most_body_bytes
        self.deaf = False  # what still comes is not looked at
        self.receiving = False  # a request has begun, and is not whole
        self.continue_due = False  # its client waits until it is told to send the body
        self.mark = time.monotonic()  # when one began last
        self._parser = Parser(self)
        self._begun = self._head_fed = 0
        self._start, self._fed = b"", 0  # the head of what is parsed, and its bytes so far
        self._again = NOTHING
        self._place: memoryview | None = None  # for a whole request that begins so,
        self._have = 0  # of which so much is here
        self.filled = False  # what was found last lies there
        self._follows = False  # a request arrives that begins so
        self._body = Arriving(bodies, most=most_body_bytes)
        self._begin()

    def room(self) -> memoryview:
        """Return where what comes next is to be put."""
        return _ROOM if self._place is None else self._place[self._have :]

    def took(self, nbytes: int) -> bool:
        """Take what came, ``nbytes`` in room(); tell whether there may be something to do."""
        again, place = self._again, self._place
        at, size = len(again.head), again.size
        self.filled = False
        if place is not None:
            return self._fill(place, nbytes)
        if self._follows:
            return self._piece(_ROOM[:nbytes].tobytes())
        if not at <= nbytes <= size or self.receiving or _ROOM[:at].tobytes() != again.head:
            return self.parsed(_ROOM[:nbytes].tobytes())
        if nbytes == size:
            return self._repeat(_ROOM[at:nbytes].tobytes())
        return not self.deaf and self._follow(_ROOM[at:nbytes].tobytes())

    def leave(self) -> None:
        """Leave what was found where it lies: what comes next comes elsewhere."""
        if self._place is not None:
            self._place = memoryview(bytearray(len(self._place)))

    def parsed(self, data: bytes) -> bool:
        """Take ``data``, as ``took`` does."""
        if self.deaf:
            return False
        before, fresh = (self._begun, self._body.size), not self.receiving
        if not self._parser.feed(data) and not self.deaf:
            self.refuse(failure(HTTPStatus.BAD_REQUEST))
        # Neither a body nor another request: a head, the names of chunks, trailers.
        all_head = self.receiving and before == (self._begun, self._body.size)
        self._head_fed = self._head_fed + len(data) if all_head else 0
        if self._head_fed > MAX_HEAD_BYTES and not self.deaf:
            self.refuse(failure(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        if fresh:
            self._start, self._fed = head_of(data), 0
        self._fed += len(data)
        if self._begun != before[0] + fresh:
            self._start = b""
        if not self.receiving and self._start and self._found:
            self._remember()
        return True

    def refuse(self, response: Response) -> None:
        """Let ``response`` be the last that is said."""
        self.deafen()
        self.receiving = self.continue_due = False
        self._body.drop()
        self._found.append(response)

    def deafen(self) -> None:
        """Look at nothing more that comes."""
        self.deaf = True
        self._follows = False

    def drop(self) -> None:
        """Forget the body that arrives."""
        self._body.drop()

    def end(self) -> None:
        """Forget all: the parser and this hold each other until the collector comes by, else."""
        self._begin()
        self._place = None
        del self._parser

    # What httptools says

    def on_message_begin(self) -> None:
        self._begin()
        self._begun += 1
        self.receiving = True
        self.mark = time.monotonic()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in self._named and name in (b"host", b"origin"):
            self._stop(failure(HTTPStatus.BAD_REQUEST))
        self._named[name] = value.rstrip(b" \t")
        self._count += 1
        if self._count > MAX_HEADERS:
            self._stop(failure(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))

    def on_headers_complete(self) -> None:
        # What comes behind a body says nothing of how that is read, or by whom.
        self._named: dict[bytes, bytes] = {}
        self._target: bytes = origin_form(self._target, self._headers)
        if self._parser.method == b"CONNECT":
            self._stop(failure(HTTPStatus.NOT_IMPLEMENTED, "nobody is connected to others here"))
        if wrong := self._body.expect(int(self._headers.get(b"content-length", 0))):
            self._stop(self._why(wrong, self._target))
        self.continue_due = self._headers.get(b"expect", b"").lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        if wrong := self._body.add(body):
            self._stop(self._why(wrong, self._target))

    def on_message_complete(self) -> None:
        if self._parser.declines(self._target, self._headers):
            return
        self.receiving = self.continue_due = False
        request = Request(
            self._parser.method.decode("ascii"),
            self._target,
            self._headers,
            self._body.done(),
            self._parser.keeps_alive,
            time.perf_counter_ns(),
        )
        self._begin()  # a connection that stays open does not keep what it brought
        self._found.append(request)
        if not request.keep_alive:
            self.deaf = True

    def _begin(self) -> None:
        self._target, self._count = b"", 0
        self._headers: dict[bytes, bytes] = {}
        self._named = self._headers

    def _fill(self, place: memoryview, nbytes: int) -> bool:
        """Take a piece of a request that begins as the last one to where it stays."""
        at = len(self._again.head)
        if not self._have:
            if nbytes < at or self.receiving or place[:at].tobytes() != self._again.head:
                self._place = None
                return self.parsed(place[:nbytes].tobytes())
            if self.deaf:
                return False
            self.receiving = True
            self.mark = time.monotonic()
        self._have += nbytes
        if self._have < len(place):
            return False
        self._have, self.receiving, self.filled = 0, False, True
        return self._repeat(place[at:])

    def _follow(self, piece: bytes) -> bool:
        """Take the first piece of a request that began as the last one."""
        self._follows = self.receiving = True
        self.mark = time.monotonic()
        wrong = self._body.expect(self._again.size - len(self._again.head))
        return self._turn_away(wrong) if wrong else self._piece(piece)

    def _piece(self, piece: bytes) -> bool:
        again, body = self._again, self._body
        left = again.size - len(again.head) - body.size
        if len(piece) > left:  # the next one came along
            self._follows = self.receiving = False
            whole = body.done()
            self._bodies.give(len(whole))
            return self.parsed(b"".join((again.head, whole, piece)))
        if wrong := body.add(piece):
            return self._turn_away(wrong)
        if len(piece) < left:
            return False
        self._follows = self.receiving = False
        return self._repeat(body.done())

    def _turn_away(self, wrong: Wrong) -> bool:
        self.refuse(self._why(wrong, self._again.target))
        return True

    def _repeat(self, data: bytes | memoryview) -> bool:
        """Find the last request with another body: it is not parsed anew."""
        if self.deaf:
            return False
        self.mark = time.monotonic()
        self._found.append(self._again.request(data, arrived_ns=time.perf_counter_ns()))
        return True

    def _remember(self) -> None:
        """Keep how the last request began, if all of it is there, and nothing else is."""
        one, self._place = self._found[-1], None
        if isinstance(one, Request) and one.keep_alive:
            self._again = again = began(self._start, one, size=self._fed) or self._again
            if _SMALL_BYTES < again.size <= OWN:
                self._place = memoryview(bytearray(again.size))

    def _why(self, wrong: Wrong, target: bytes) -> Response:
        if wrong is Wrong.FULL:
            return self._full(target)
        too_large, most = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._most
        return failure(too_large, f"a body may have at most {most} bytes")

    def _stop(self, response: Response) -> None:
        """Refuse from within a callback: what httptools still holds is not looked at."""
        self.refuse(response)
        raise ValueError(response.status)
