"""Connections on which the head of an answer has to come in time, however slowly it drips.

A socket's timeout begins anew with each byte: one header that comes letter by letter would keep a
thread of the agent for years. Bodies are judged by their rate, where they are read. Those to hosts
behind a proxy begin with it, and are the same from then on.
"""

import contextlib
import http.client
import io
import socket
import threading
from typing import Final

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from littoral.errors import SlowError
from littoral_agent import tunnel
from littoral_agent.drip import Dripping
from littoral_agent.routes import Proxy


class _Answer(http.client.HTTPResponse):
    """An answer whose head may take twice as long as one read of the socket."""

    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._drip = Dripping(sock, self.fp)
        self.fp = io.BufferedReader(self._drip)
        self._from, self._late = sock, False

    def begin(self) -> None:
        """Read the head. Raises SlowError, EndlessError."""
        most_s = 2 * (self._from.gettimeout() or 0.0)
        timer = threading.Timer(most_s, self._cut)
        timer.daemon = True
        timer.start()
        try:
            super().begin()
        except (OSError, http.client.HTTPException):
            if not self._late:
                raise
        finally:
            timer.cancel()
            del self._from
        if self._late:
            raise SlowError(f"an answer did not begin within {most_s:.0f} s")

    def read1(self, n: int = -1) -> bytes:
        """Read some of the body. Raises SlowError, EndlessError."""
        self._drip.awaited()
        data = super().read1(n)
        self._drip.brought(len(data))
        return data

    def _cut(self) -> None:
        self._late = True
        with contextlib.suppress(OSError, AttributeError):  # it came at this very moment
            self._from.shutdown(socket.SHUT_RD)


class _Plain(HTTPConnection):
    response_class = _Answer


class _Secured(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecuredPool(HTTPSConnectionPool):
    ConnectionCls = _Secured


_BY_SCHEME: Final = {"http": _PlainPool, "https": _SecuredPool}


def by_scheme(proxy: Proxy | None, *, within_s: float) -> dict[str, type[HTTPConnectionPool]]:
    """Return what a PoolManager asks for: whose connections go where; the secured by ``proxy``.

    ``within_s`` is how long that one may take to connect.
    """
    if proxy is None:
        return _BY_SCHEME
    return {**_BY_SCHEME, "https": _tunnelled(proxy, within_s=within_s)}


def _tunnelled(proxy: Proxy, *, within_s: float) -> type[HTTPSConnectionPool]:
    class Tunnelled(_Secured):
        def _new_conn(self) -> socket.socket:
            return tunnel.connect(proxy, self.host, self.port or 443, within_s=within_s)

    class TunnelledPool(HTTPSConnectionPool):
        ConnectionCls = Tunnelled

    return TunnelledPool
