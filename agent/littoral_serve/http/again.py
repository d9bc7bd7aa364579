"""How a request began: the next one on its connection most likely begins so, and is not parsed.

Pure. Only what came in one piece, all of it there and nothing behind it, is remembered.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from littoral_serve.http.messages import Later, Request, Response

_MOST_REMEMBERED: Final = 2048  # bytes of a head


@dataclass(slots=True)
class Again:
    """How a request began that had come in one piece, and who answers those that begin so."""

    head: bytes
    size: int  # of the whole request
    method: str
    target: bytes
    headers: dict[bytes, bytes]
    answer: Callable[[Request], Response | Later | Awaitable[Response]] | None = None

    def request(self, data: bytes | memoryview, *, arrived_ns: int) -> Request:
        """Return a request that begins so, with another body, of as many bytes."""
        keep_alive = True
        return Request(self.method, self.target, self.headers, data, keep_alive, arrived_ns, self)


NOTHING: Final = Again(b"", -1, "", b"", {})  # nothing begins so


def began(data: bytes, one: Request) -> Again | None:
    """Return how ``one``, which was read in ``data``, began; None: that is not to be repeated."""
    told = one.headers.get(b"content-length", b"0")
    start = len(data) - len(one.body)
    if b"expect" in one.headers or told != b"%d" % len(one.body) or start > _MOST_REMEMBERED:
        return None
    if data[start - 4 : start] != b"\r\n\r\n" or not data.startswith(one.method.encode()):
        return None
    return Again(data[:start], len(data), one.method, one.target, one.headers)
