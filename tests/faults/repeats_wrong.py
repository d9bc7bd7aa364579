"""A request as somebody says it who is not honest: it differs in one place, or smuggles."""

import gzip
import random
from typing import Final


def wrong(rng: random.Random, said: bytes) -> bytes:
    """Return ``said`` as somebody says it who is not honest, or nearly is."""
    head, _, body = said.partition(b"\r\n\r\n")
    match rng.randrange(8):
        case 0:
            said = said.replace(*rng.choice(_INSTEAD), 1)
        case 1 | 2:
            lines = head.split(b"\r\n")
            lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(_LINES))
            said = b"\r\n".join(lines) + b"\r\n\r\n" + body
        case 3:
            said = _chunked(rng, head, body)
        case 4:
            said += rng.choice((b"\r\n", b"\x00", b"X", b"GET", head[:9], said[:-1]))
        case 5:
            said = said[: rng.randrange(len(said) + 1)]
        case 6:
            packed = gzip.compress(body, 1)
            size = b"Content-Length: %d" % len(packed)
            head = head.replace(b"Content-Length: %d" % len(body), size)
            said = head + b"\r\nContent-Encoding: gzip\r\n\r\n" + packed
        case _:
            at = rng.randrange(min(len(said), len(head) + 9))
            said = said[:at] + bytes([said[at] ^ 1 << rng.randrange(8)]) + said[at + 1 :]
    return said


_INSTEAD: Final = (
    (b"Host: localhost", b"Host: evil.test"),
    (b"Host: localhost", b"Host: LOCALHOST"),
    (b"Host: localhost", b"Host:  localhost "),
    (b"Host: ", b"Hosts: "),
    (b"HTTP/1.1", b"HTTP/1.0"),
    (b"HTTP/1.1", b"HTTP/1.2"),
    (b"POST", b"HEAD"),
    (b"POST", b"PUTT"),
    (b"POST", b"post"),
    (b"GET /", b"GET http://localhost/"),
    (b"POST /", b"POST http://evil.test/"),
    (b"Content-Length: ", b"Content-Length: +"),
    (b"Content-Length: ", b"Content-Length: 0"),
    (b"Content-Length: ", b"Content-Length: 0x"),
    (b"Content-Length: ", b"Content-Length:\t"),
    (b"Content-Length: ", b"Content-Length : "),
    (b"Content-Length: ", b"Content-Length:\r\n "),
    (b"Content-Length: ", b"content-LENGTH: "),
    (b"Content-Length: ", b"Content-Length: 1"),
    (b"\r\n\r\n", b" \r\n\r\n"),
    (b"\r\n", b"\n"),
    (b"\r\n\r\n", b"\n\n"),
    (b"\r\n\r\n", b"\n\r\n"),
    (b"\r\n\r\n", b"\r\r\n\r\n"),
    (b"keep-alive", b"close"),
    (b"http://localhost", b"http://evil.test"),
    (b"identity", b"gzip"),
    (b"Accept: */*", b"Expect: 100-continue"),
)
_LINES: Final = (
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: 99999999",
    b"Content-Length: 18446744073709551617",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Host: localhost",
    b"Host: evil.test",
    b"Origin: http://evil.test",
    b"Origin: http://localhost",
    b"Content-Type: image/png",
    b"X: a\r\n folded",
    b" folded",
    b"X: a\x00b",
    b"X: " + b"y" * 2100,  # no head that is remembered
    b"X: " + b"y" * 33_000,
    b"Inference-Header-Content-Length: 0",
)
_TRAILERS: Final = (
    b"X: y\r\n",
    b"Host: evil.test\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Inference-Header-Content-Length: 0\r\n",
    b"",
    b"",
    b"",
)


def _chunked(rng: random.Random, head: bytes, body: bytes) -> bytes:
    lines = [one for one in head.split(b"\r\n") if not one.startswith(b"Content-Length")]
    at = rng.randrange(len(body) + 1)
    sizes = (b"%x", b"%x", b"%x", b"%X;x=y", b"0%x", b"-%x", b"%x\n")
    parts = [rng.choice(sizes) % len(one) + b"\r\n" + one for one in (body[:at], body[at:]) if one]
    end = b"0\r\n" + rng.choice(_TRAILERS) + b"\r\n"
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", *parts, end])
