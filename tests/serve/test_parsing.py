"""Requests that ask for another protocol as well, and that none gets two answers."""

from collections.abc import Iterator
from random import Random

import pytest

from simulators.served import Serve
from simulators.spoken import (
    CHUNKED,
    ONE,
    PATH,
    connect,
    everything,
    narrow,
    replies,
    request,
    said,
    status,
)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with narrow(tmp_path_factory.mktemp("serve")) as running:
        yield running


UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


def test_who_asks_for_another_protocol_is_answered_in_http(serve: Serve) -> None:
    """Java's own client asks so with its first request, and what it brought was not read."""
    plain = said(serve, request())
    assert said(serve, request(head=UPGRADE)) == plain
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ONE), ONE)
    upgrade = UPGRADE.encode() + b"\r\n"
    assert said(serve, CHUNKED[:-2] + upgrade + chunks) == plain
    with connect(serve) as connection:
        for _ in range(3):
            connection.sendall(request(head=UPGRADE) + request())
            assert len(set(replies(connection, 2))) == 1
        whole = request(head=UPGRADE + "Expect: 100-continue\r\n")
        connection.sendall(whole[: -len(ONE)])
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(ONE)
        assert b"predictions" in replies(connection, 1)[0]
        connection.sendall(request(bytes(10), head=UPGRADE.replace("de,", "de, close,")))
        assert everything(connection).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("target", ["localhost:8501", "evil.example:443", "x", PATH])
def test_nobody_is_connected_to_others_and_is_told_once(serve: Serve, target: str) -> None:
    head = f"CONNECT {target} HTTP/1.1\r\nHost: localhost\r\n"
    for rest in ("\r\n", "Content-Length: 2\r\n\r\n{}", f"{UPGRADE}\r\n", "\r\nGET / HTTP/1.1\r\n"):
        told = said(serve, (head + rest).encode())
        assert told.count(b"HTTP/1.1 ") == 1
        assert status(told) == 501
        assert b"Connection: close" in told


METHODS = (
    *("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"),
    *("CONNECT", "PRI", "M-SEARCH", "PUST"),
)


FIELDS = (
    UPGRADE,
    *("Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Connection: close\r\n"),
    *("Connection: keep-alive\r\n", "Expect: 100-continue\r\n", "Expect: x\r\n"),
    *("Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "Host: x\r\n"),
    *("Content-Encoding: br\r\n", "Origin: null\r\n", "A\r\n", "TE: trailers\r\n"),
)


@pytest.mark.parametrize("seed", range(5))
def test_one_request_gets_one_answer_whatever_it_says(serve: Serve, seed: int) -> None:
    random = Random(seed)
    for _ in range(60):
        target = random.choice((PATH, "*", "/", "/v2", f"http://localhost{PATH}", "localhost:1"))
        version = random.choice(("1.1", "1.1", "1.0", "2.0"))
        fields = random.sample(FIELDS, random.randrange(4))
        body = random.choice((b"", ONE, b"2\r\n{}\r\n0\r\n\r\n"))
        length = random.choice(("", f"Content-Length: {len(body)}\r\n"))
        line = f"{random.choice(METHODS)} {target} HTTP/{version}\r\nHost: localhost\r\n"
        one = (line + length + "".join(fields) + "\r\n").encode()
        if length or any("chunked" in field for field in fields):
            one += body
        told = said(serve, one).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        assert told.count(b"HTTP/1.1 ") <= 1, (one, told)
