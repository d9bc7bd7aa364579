"""Requests and responses, and a response that is not there yet. Knows no connection."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from littoral_serve.http.again import Again


@dataclass(slots=True)
class Request:
    """One request, whole."""

    method: str
    target: bytes  # path and query as they were sent
    headers: dict[bytes, bytes]  # names in lower case
    data: bytes | memoryview  # a view stays as it is until the response is there
    keep_alive: bool
    arrived_ns: int  # perf_counter_ns, when the last byte had been read
    again: "Again | None" = None  # how it began, where the one before it began so

    @property
    def body(self) -> bytes:
        """Return ``data`` as bytes, which may be kept; from now on it is these."""
        if not isinstance(self.data, bytes):
            self.data = self.data.tobytes()
        return self.data


@dataclass(slots=True)
class Response:
    """What is answered."""

    status: int
    body: bytes
    kind: bytes = b"application/json"
    headers: bytes = b""  # further ones, each a line with its end


class Later:
    """A response that is not there yet. Whoever makes it calls ``give`` once, on the loop.

    A task would do as well, and cost a request eight microseconds.
    """

    __slots__ = ("_then", "left", "on_left", "response")

    def __init__(self) -> None:
        self.response: Response | None = None
        self.left = False  # the client hung up: nobody will read the response
        self.on_left: Callable[[], None] | None = None
        self._then: Callable[[Response], None] | None = None

    def give(self, response: Response) -> None:
        # It knows who made the response, and so the model: in a circle both would stay until the
        # collector comes, and with a model after a swap all of its memory.
        self.on_left = None
        if self._then is None:
            self.response = response
        else:
            self._then(response)

    def then(self, callback: Callable[[Response], None]) -> None:
        """Call ``callback`` when the response is given, which it is not yet."""
        self._then = callback

    def cancel(self) -> None:
        """Tell who makes the response that the client hung up."""
        self.left = True
        if self.on_left is not None:
            self.on_left()


def failure(status: HTTPStatus, text: str = "") -> Response:
    """Return an error as clients of either protocol read it; without a ``text``, HTTP's word."""
    return Response(status, orjson.dumps({"error": whole(text) or status.phrase}))


def whole(text: str) -> str:
    """Return ``text`` as UTF-8 can say it: it may quote half a character, which JSON can say."""
    return text.encode(errors="replace").decode()


_HEAD: Final = b"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
_LAST_HEAD: Final = _HEAD[:-4] + b"Connection: close\r\n%s\r\n"
_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_PHRASES[499] = b"Client Closed Request"  # what TensorFlow Serving calls it


def encode(response: Response, *, keep: bool, head: bool = False) -> bytes:
    """Return ``response`` as it is sent; ``head``: without its body, as HEAD asks."""
    template = _HEAD if keep else _LAST_HEAD
    status, body = response.status, response.body
    line = template % (status, _PHRASES[status], response.kind, len(body), response.headers)
    return line if head else line + body
