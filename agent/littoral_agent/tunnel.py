"""A way through an HTTP proxy: it is asked to CONNECT, and what comes after is nobody's but ours.

It knows sockets, and nothing of what goes through. What the proxy says no to is a ProxyError, so
that nobody takes its word for the console's.
"""

import socket
import time
from pathlib import Path
from typing import Final

from littoral import addresses
from littoral.errors import ProxyError, one_line
from littoral_agent.routes import Proxy

_MOST_HEAD: Final = 16 * 1024
_MOST_WORDS: Final = 120
_MOST_SECRET: Final = 1024
_OTHERS: Final = 0o007
_GRANTED: Final = frozenset(map(str, range(200, 300)))
_WANTS: Final = "it wants another user or password: proxy, proxy_secret"
_WHY: Final = {
    "401": _WANTS,  # tinyproxy's 407
    "403": "it lets nobody through to there; ask who runs it to allow it",
    "407": _WANTS,
}


def connect(proxy: Proxy, host: str, port: int, *, within_s: float) -> socket.socket:
    """Return a connection to ``host``, through ``proxy``.

    Raises:
        ProxyError: There is none.

    """
    until_s = time.monotonic() + within_s
    where = f"the proxy at {proxy.where}"
    try:
        link = socket.create_connection((proxy.host, proxy.port), timeout=within_s)
    except OSError as e:
        raise ProxyError(f"{where} does not answer ({e.strerror or e})") from e
    try:
        link.sendall(_asked(proxy, addresses.join(host, port)))
        status = _head(link, until_s).partition(b"\r\n")[0].decode("latin-1")
        link.settimeout(within_s)
    except (OSError, ValueError) as e:
        link.close()
        raise ProxyError(f"{where} does not answer as a proxy does ({e})") from e
    except ProxyError:
        link.close()
        raise
    code = status.partition(" ")[2].partition(" ")[0]
    if not status.startswith("HTTP/1.") or code not in _GRANTED:
        link.close()
        why = _WHY.get(code, "it says so of itself, or of who is behind it")
        told = one_line(status)[:_MOST_WORDS]
        raise ProxyError(f"{where} does not connect to {addresses.join(host, port)}: {told}; {why}")
    return link


def _asked(proxy: Proxy, host: str) -> bytes:
    lines = [f"CONNECT {host} HTTP/1.1", f"Host: {host}"]
    if proxy.user:
        import base64

        word = base64.b64encode(f"{proxy.user}:{_secret(proxy.secret)}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {word}")
    return "\r\n".join((*lines, "", "")).encode()


def _secret(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        if file.stat().st_mode & _OTHERS:
            raise ProxyError(f"{file}: everybody here may read it; run: chmod 600 {file}")
        with file.open("rb") as opened:
            return opened.read(_MOST_SECRET).decode().rstrip("\r\n")
    except OSError as e:
        raise ProxyError(f"{file}: {e.strerror}; it should hold the proxy's password") from e
    except UnicodeDecodeError as e:
        raise ProxyError(f"{file}: expected a password in UTF-8") from e


def _head(link: socket.socket, until_s: float) -> bytes:
    """Read the head of the answer, and nothing after it: that belongs to who is behind.

    Whoever is behind waits for our first word, so what comes with the head is no proxy's.
    """
    head = b""
    while b"\r\n\r\n" not in head:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise ValueError("the head of its answer did not come in time")
        link.settimeout(left_s)
        chunk = link.recv(4096)
        if not chunk:
            raise ValueError("it hung up")
        head += chunk
        if len(head) > _MOST_HEAD:
            raise ValueError("the head of its answer has no end")
    if not head.endswith(b"\r\n\r\n") and head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
        raise ValueError("it says more than a proxy does")
    return head
