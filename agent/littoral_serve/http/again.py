"""How a request began: the next one on its connection most likely begins so, and is not parsed.

Pure. Only what had its head in the first piece, and nothing behind it, is remembered. Its body is
taken in one of three ways:

    small, and all at once  copied from what all connections read into
    larger                  received where it stays, up to what is a connection's own
    else                    gathered in pieces, as any other's
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from littoral_serve.http.messages import Later, Request, Response

_MOST_REMEMBERED: Final = 2048  # bytes of a head


@dataclass(slots=True)
class Again:
    """How a request began, and who answers those that begin so."""

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


def head_of(data: bytes) -> bytes:
    """Return the head that ``data`` begins with; nothing where it is not all there, or long."""
    end = data.find(b"\r\n\r\n", 0, _MOST_REMEMBERED)
    return b"" if end < 0 else data[: end + 4]


def began(head: bytes, one: Request, *, size: int) -> Again | None:
    """Return how ``one`` began, of ``size`` bytes in all; None: that is not to be repeated."""
    told = one.headers.get(b"content-length", b"0")
    if b"expect" in one.headers or told != b"%d" % len(one.data):
        return None
    if len(head) + len(one.data) != size or not head.startswith(one.method.encode()):
        return None
    return Again(head, size, one.method, one.target, one.headers)
