"""HTTP that is refused: what is too large, no HTTP, foreign, one too many."""

import contextlib
import json
from collections.abc import Iterator

import pytest
import requests

from simulators.served import Serve
from simulators.spoken import (
    CHUNKED,
    ONE,
    PATH,
    TINY,
    connect,
    everything,
    narrow,
    request,
    said,
    status,
)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with narrow(tmp_path_factory.mktemp("serve")) as running:
        yield running


def test_a_body_that_is_announced_too_large_is_not_waited_for(serve: Serve) -> None:
    with connect(serve) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100001\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        data = everything(connection)
    assert status(data) == 413
    assert b"at most 100000 bytes" in data
    assert b"100 Continue" not in data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (request(bytes(10), path="/v3/x"), "Not Found"),
        (request(bytes(200_000)), "a body may have at most 100000 bytes"),
        (request(head="Content-Encoding: br\r\n"), "bodies come as gzip or deflate"),
        (b"POST / HTTP/1.1\r\nHost localhost\r\n\r\n", "Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "is not a name of this server"),
    ],
    ids=["path", "size", "coding", "head", "host"],
)
def test_whatever_is_wrong_is_told_as_json(serve: Serve, data: bytes, words: str) -> None:
    """As clients of TensorFlow Serving and of Triton read it."""
    head, _, body = said(serve, data).partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    assert words in json.loads(body)["error"]


def test_a_client_that_sends_too_much_still_hears_why(serve: Serve) -> None:
    response = requests.post(serve.url + PATH, data=b"x" * 5_000_000, timeout=20)
    assert response.status_code == 413


def test_a_body_that_grows_too_large_in_chunks_is_refused(serve: Serve) -> None:
    response = requests.post(serve.url + PATH, data=(b"x" * 1000 for _ in range(200)), timeout=20)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (request(head="Transfer-Encoding: chunked\r\n"), 400),
        (request(head="Content-Length: 3\r\n"), 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"b" * 300_000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 404),
        (b"GET /v1/models/tiny HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/models/tiny HTTP/1.1\r\nOrigin: http://localhost\r\n\r\n", 400),
        (b"GET /v1/models/tiny HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n", 400),
        (request(head="Origin: http://evil.example\r\nOrigin: http://localhost\r\n"), 400),
        (CHUNKED + b"2\r\n{}\r\n0\r\nA: " + b"b" * 300_000, 431),
        (CHUNKED + b"2;" + b"b" * 300_000, 431),
    ],
)
def test_what_is_no_request_is_refused(serve: Serve, data: bytes, expected: int) -> None:
    assert status(said(serve, data)) == expected


def test_what_comes_behind_a_body_says_nothing_of_its_request(serve: Serve) -> None:
    """Nobody between would look there: neither who may call, nor how the body is packed."""
    data = b"%x\r\n%s\r\n0\r\n" % (len(ONE), ONE)
    packed = said(serve, CHUNKED + data + b"Content-Encoding: br\r\nHost: x\r\n\r\n")
    assert status(packed) == 200
    nameless = CHUNKED.replace(b"Host: localhost\r\n", b"")
    assert status(said(serve, nameless + data + b"Host: localhost\r\n\r\n")) == 400


def test_what_was_asked_before_a_mistake_is_answered(serve: Serve) -> None:
    data = said(serve, request() + request() + b"nonsense\r\n\r\n")
    assert data.count(b"HTTP/1.1 200") == 2
    assert data.count(b"HTTP/1.1 400") == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8501", "10.0.0.1"]
)
def test_a_foreign_host_is_refused(serve: Serve, host: str) -> None:
    headers = {"Host": host}
    response = requests.get(f"{serve.url}/v1/models/tiny", headers=headers, timeout=20)
    assert response.status_code == 403
    assert "is not a name of this server" in response.json()["error"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://evil.example", 403),
        ("null", 403),
        ("https://127.0.0.1.evil.example", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8501", 200),
    ],
)
def test_a_foreign_page_is_refused(serve: Serve, origin: str, expected: int) -> None:
    headers = {"Origin": origin}
    response = requests.post(serve.url + PATH, data=ONE, headers=headers, timeout=20)
    assert response.status_code == expected


def test_a_target_that_names_nobody_or_two_is_not_found(serve: Serve) -> None:
    for target in ("http:///v2", "http://localhost:80@evil.example/v2", "ftp://localhost/v2"):
        assert status(said(serve, request(path=target))) == 404
    nameless = f"GET http://localhost{PATH} HTTP/1.1\r\n\r\n".encode()
    assert status(said(serve, nameless)) == 400


def test_more_connections_than_allowed_are_told_so(serve: Serve) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(40):
            held.enter_context(connect(serve))
        with connect(serve) as late:
            assert status(everything(late)) == 503
    assert requests.get(f"{serve.url}/v1/models/tiny", timeout=20).status_code == 200


def test_who_is_refused_is_not_asked_to_continue() -> None:
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    serve = Serve("--http", "127.0.0.1:0", TINY)
    with connect(serve) as connection:
        connection.sendall(head + b"what\r\n")  # no size of a chunk
        assert everything(connection).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert "Traceback" not in serve.stop()
