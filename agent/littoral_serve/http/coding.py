"""Bodies that came compressed, as gzip or deflate: unpacked, and never to more than is allowed.

What is sent is never compressed: on the loopback, and to a device's own network, the time that
it takes is dearer than the bytes that it saves.
"""

import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from littoral_serve.http.bodies import Bodies
from littoral_serve.http.messages import Request, Response, failure

_WINDOWS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": zlib.MAX_WBITS}


def unpack(
    request: Request, *, most_bytes: int, bodies: Bodies, full: Callable[[bytes], Response]
) -> Response | None:
    """Unpack the body of ``request`` where it stands; return why it is refused instead.

    What it holds more then is taken from ``bodies``; ``full`` says that there is no room.
    """
    coding = request.headers[b"content-encoding"].strip().lower()
    # Not where they stand: a connection gives the next request that begins so the same headers.
    rest = request.headers.items()
    request.headers = {name: value for name, value in rest if name != b"content-encoding"}
    if coding == b"identity":
        return None
    if coding not in _WINDOWS:
        refusal = failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "bodies come as gzip or deflate")
        refusal.headers = b"Accept-Encoding: gzip, deflate\r\n"
        return refusal
    try:
        whole = _unpacked(request.body, _WINDOWS[coding], most_bytes)
    except zlib.error:
        return failure(HTTPStatus.BAD_REQUEST, f"the body is not {coding.decode()}")
    except OverflowError as e:
        return failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(e))
    if not bodies.resize(len(request.body), len(whole)):
        return full(request.target)
    request.data, request.again = whole, None  # the next one that begins so is packed as well
    return None


def _unpacked(data: bytes, window: int, most_bytes: int) -> bytes:
    """Return what ``data`` holds. Raises zlib.error, and OverflowError beyond the limit."""
    stream = zlib.decompressobj(window)
    found = stream.decompress(data, most_bytes + 1)
    if len(found) > most_bytes:
        raise OverflowError(f"a body may have at most {most_bytes} bytes, unpacked")
    if not stream.eof or stream.unused_data:
        raise zlib.error("cut short, or followed by something")
    return found
