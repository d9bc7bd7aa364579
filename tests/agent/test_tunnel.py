"""Through a proxy: one as it is installed, and such as do not behave."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from littoral.errors import ProxyError, UnreachableError
from littoral_agent import routes, tunnel
from littoral_agent.origin import Origin
from littoral_agent.routes import Proxy
from patience import patient
from simulators import hosting
from simulators.broker import ConsoleCa
from simulators.hosting import needs_nginx, needs_tinyproxy


def proxy(port: int, user: str = "", secret: Path | None = None) -> Proxy:
    found = routes.proxy(
        f"http://{user + '@' if user else ''}127.0.0.1:{port}", secret=str(secret or "")
    )
    assert found is not None
    return found


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("open-sesame\n")
    path.chmod(0o600)
    return path


@contextmanager
def saying(*words: bytes, pause_s: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that says ``words`` to whoever asks, and ends."""
    asked: list[bytes] = []

    def answer() -> None:
        with contextlib.suppress(OSError), server.accept()[0] as link:
            asked.append(link.recv(4096))
            for word in words:
                link.sendall(word)
                time.sleep(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            thread.join(10)


# -- tinyproxy


@needs_nginx
@needs_tinyproxy
def test_a_server_is_reached_through_it_by_a_name_that_it_alone_knows(
    tmp_path: Path, secret: Path
) -> None:
    tls = ConsoleCa(tmp_path / "tls", names=("console.test",))
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "a").write_bytes(b"as signed")
    with (
        hosting.nginx(tmp_path, tmp_path / "www", tls=tls) as url,
        hosting.tinyproxy(tmp_path, user="pi", password="open-sesame") as port,
    ):
        there = url.replace("127.0.0.1", "console.test")

        def asked(way: Proxy) -> bytes:
            origin = Origin(there, ca=tls.ca, proxy=way)
            try:
                return origin.get("a", limit=100).body
            finally:
                origin.close()

        assert asked(proxy(port, "pi", secret)) == b"as signed"
        with pytest.raises(ProxyError, match=r"407.*proxy_secret"):
            asked(proxy(port))
        secret.write_text("other")
        with pytest.raises(ProxyError, match=r"40\d"):
            asked(proxy(port, "pi", secret))
        # Who is behind it is told apart from it.
        with pytest.raises(UnreachableError, match="no secure connection") as stranger:
            Origin(there, ca=ConsoleCa(tmp_path / "other").ca, proxy=_back(secret, port)).get(
                "a", limit=9
            )
        assert not isinstance(stranger.value, ProxyError)
        with pytest.raises(ProxyError, match=r"does not connect to console.test:1: .* 50\d"):
            Origin("https://console.test:1", ca=tls.ca, proxy=_back(secret, port)).get("a", limit=9)


def _back(secret: Path, port: int) -> Proxy:
    secret.write_text("open-sesame")
    return proxy(port, "pi", secret)


# -- such as do not behave


def test_what_is_asked(secret: Path) -> None:
    with (
        saying(b"HTTP/1.0 200 Fine\r\nVia: me\r\n\r\n") as (port, asked),
        tunnel.connect(proxy(port, "fleet", secret), "::1", 8443, within_s=5) as link,
    ):
        assert link.gettimeout() == 5
    assert asked[0].split(b"\r\n") == [
        b"CONNECT [::1]:8443 HTTP/1.1",
        b"Host: [::1]:8443",
        b"Proxy-Authorization: Basic ZmxlZXQ6b3Blbi1zZXNhbWU=",
        *(b"", b""),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (b"HTTP/1.1 403 Filtered\x1b[31m\r\n\r\n", "403 Filtered"),
        (b"HTTP/1.1 407 Who are you\r\n\r\n<html>", "another user or password"),
        (b"HTTP/1.0 401 Unauthorized\r\n\r\n", "another user or password"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", "302 Found"),
        (b"HTTP/1.1 502 Bad\r\n\r\n", "of itself, or of who is behind it"),
        (b"HTTP/1.1 \xb200 Fine\r\n\r\n", "of itself, or of who is behind it"),  # a digit, to some
        (b"HTTP/1.1 2000 Fine\r\n\r\n", "of itself, or of who is behind it"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "does not connect"),
        (b"HTTP/1.1 200 Fine\r\n\r\n\x16\x03", "says more than a proxy does"),
        (b"HTTP/1.1 201 Fine\r\n\r\n\x16\x03", "says more than a proxy does"),
        (b"HTTP/1.1 200 " + b"x" * 20_000, "has no end"),
        (b"HTTP/1.1 200 Fi", "hung up"),
        (b"", "hung up"),
    ],
)
def test_what_is_no_way_through(words: bytes, said: str) -> None:
    with saying(words) as (port, _), pytest.raises(ProxyError, match=said) as caught:
        tunnel.connect(proxy(port), "console.test", 443, within_s=5)
    assert "\x1b" not in str(caught.value)


def test_a_head_that_drips_is_not_waited_for() -> None:
    with saying(*[b"H"] * 12, pause_s=0.2) as (port, _):
        begun = time.monotonic()
        with pytest.raises(ProxyError):
            tunnel.connect(proxy(port), "console.test", 443, within_s=0.5)
        assert time.monotonic() - begun < patient(2)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ProxyError, match=f"the proxy at 127.0.0.1:{port} does not answer"):
        tunnel.connect(proxy(port), "console.test", 443, within_s=5)


def test_a_password_that_everybody_may_read_is_not_used(secret: Path) -> None:
    secret.chmod(0o644)
    with saying() as (port, asked), pytest.raises(ProxyError, match="chmod 600") as caught:
        tunnel.connect(proxy(port, "pi", secret), "console.test", 443, within_s=5)
    assert "sesame" not in str(caught.value)
    assert asked == [b""]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_password_that_is_none(secret: Path, content: bytes | None) -> None:
    secret.unlink() if content is None else secret.write_bytes(content)
    with saying() as (port, _), pytest.raises(ProxyError, match="password"):
        tunnel.connect(proxy(port, "pi", secret), "console.test", 443, within_s=5)


def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    with saying() as (port, asked):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "mqtt_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        with pytest.raises(UnreachableError) as caught:
            Origin("https://console.invalid", ca=None).get("a", limit=9)
        assert not isinstance(caught.value, ProxyError)
        socket.create_connection(("127.0.0.1", port)).close()
    assert asked == [b""]
