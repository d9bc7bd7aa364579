"""By which names serve may be called."""

from http import HTTPStatus

import pytest

from littoral_serve.http.hosts import Hosts

HOSTS = Hosts(frozenset({"192.168.1.7", "Board.example", "fe80::1"}))


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LocalHost:1", "127.0.0.1", "127.9.9.9:8501", "[::1]", "[::1]:8501"),
        *("192.168.1.7:8501", "board.example", "BOARD.EXAMPLE:80", "[fe80::1]:8501"),
    ],
)
def test_its_own_names(host: str) -> None:
    assert HOSTS.allows(host)
    assert HOSTS.refusal({b"host": host.encode()}) is None
    assert HOSTS.refusal({b"host": host.encode(), b"origin": f"http://{host}".encode()}) is None


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"),
        *("127.0.0.1@evil.example", "[::2]", "1127.0.0.1", "xlocalhost", "\xff"),
        *("[::1]evil", "[::1", "localhost:evil"),
    ],
)
def test_foreign_names(host: str) -> None:
    assert not HOSTS.allows(host)
    refusal = HOSTS.refusal({b"host": host.encode("latin-1")})
    assert refusal is not None
    assert refusal.status == HTTPStatus.FORBIDDEN
    assert b"is not a name of this server" in refusal.body
    origin = f"https://{host}".encode("latin-1")
    assert HOSTS.refusal({b"host": b"localhost", b"origin": origin}) is not None


def test_a_request_without_a_name_is_refused() -> None:
    refusal = HOSTS.refusal({})
    assert refusal is not None
    assert refusal.status == HTTPStatus.BAD_REQUEST  # RFC 9112, 3.2
    assert b"the request names no Host" in refusal.body
    assert HOSTS.refusal({b"host": b"localhost", b"origin": b"null"}) is not None


@pytest.mark.parametrize("host", ["10.0.0.1", "10.0.0.1:8501", "[fe80::2]:8501"])
def test_where_others_may_call_they_may_call_by_number(host: str) -> None:
    wide = Hosts(frozenset({"0.0.0.0"}), numbers=True)
    assert wide.refusal({b"host": host.encode()}) is None
    assert HOSTS.refusal({b"host": host.encode()}) is not None
    page = {b"host": host.encode(), b"origin": b"http://10.9.9.9"}
    refusal = wide.refusal(page)
    assert refusal is not None
    assert b"Origin 'http://10.9.9.9' is foreign" in refusal.body
    assert wide.refusal({b"host": b"evil.example"}) is not None
