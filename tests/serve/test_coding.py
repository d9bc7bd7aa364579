"""Bodies that came compressed."""

import gzip
import tracemalloc
import zlib

import pytest

from littoral_serve.http import coding
from littoral_serve.http.bodies import Bodies
from littoral_serve.http.messages import Request, Response


def unpack(
    body: bytes, how: bytes, *, most_bytes: int = 1000, bodies: Bodies | None = None
) -> bytes | Response:
    request = Request("POST", b"/", {b"content-encoding": how}, body, keep_alive=True, arrived_ns=0)
    refusal = coding.unpack(
        request,
        most_bytes=most_bytes,
        bodies=bodies or Bodies(0),
        full=lambda _: Response(503, b""),
    )
    return request.body if refusal is None else refusal


def status(body: bytes, how: bytes = b"gzip") -> int:
    found = unpack(body, how)
    assert isinstance(found, Response)
    return found.status


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
@pytest.mark.parametrize(
    ("how", "body"),
    [
        (b"gzip", gzip.compress),
        (b" GZip", gzip.compress),
        (b"x-gzip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"identity", bytes),
    ],
)
def test_a_body_is_unpacked_up_to_the_limit(how: bytes, body: object, size: int) -> None:
    assert callable(body)
    assert unpack(body(b"x" * size), how) == b"x" * size


@pytest.mark.parametrize("size", [1001, 100_000_000])
def test_what_unpacks_to_more_is_refused_before_it_does(size: int) -> None:
    body = gzip.compress(bytes(size))
    tracemalloc.start()
    assert status(body) == 413
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_what_is_cut_or_followed_or_other_is_refused() -> None:
    whole = gzip.compress(b"x" * 100)
    for body in (b"", whole[:-1], whole[:12], whole + b"\0", whole + whole, b"x" * 100):
        assert status(body) == 400
    assert status(whole, b"deflate") == 400


def test_an_unknown_coding_is_told_which_are_known() -> None:
    refused = unpack(b"x", b"br")
    assert isinstance(refused, Response)
    assert refused.status == 415
    assert refused.headers == b"Accept-Encoding: gzip, deflate\r\n"


def test_what_unpacks_to_more_than_there_is_room_for_is_told_to_come_again() -> None:
    bodies = Bodies(1_000_000)
    for _ in range(3):
        assert isinstance(unpack(gzip.compress(bytes(2_000_000)), b"gzip", bodies=bodies), Response)
        assert bodies.held == 0
    whole = unpack(gzip.compress(bytes(1_000_000)), b"gzip", most_bytes=1_000_000, bodies=bodies)
    assert whole == bytes(1_000_000)
    bodies.give(1_000_000)
    assert bodies.held == 0
