"""Who may call by which name: a web page that points its own name at this machine may not.

Rules only. A browser tells in ``Host`` by which name it came, and in ``Origin`` which page
sent it; neither can be forged by the page. A ``Host`` that is a number is no page's name: where
others may call at all, they may call by number.
"""

import re
import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from littoral import addresses
from littoral_serve.http.messages import Response, failure

_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.ASCII)


class Hosts:
    """The names by which this server may be called, beside those of the loopback."""

    def __init__(self, names: frozenset[str], *, numbers: bool = False) -> None:
        """``numbers``: any address is a name of this server, for it listens to other machines."""
        self._numbers = numbers
        self._names = frozenset(name.lower() for name in names)
        self._known: set[bytes] = set()

    def refusal(self, headers: Mapping[bytes, bytes]) -> Response | None:
        """Return why a request with ``headers`` is refused; None where it names this server."""
        host = headers.get(b"host")
        if host not in self._known:
            if host is None:
                return failure(HTTPStatus.BAD_REQUEST, "the request names no Host")
            if not self._called(host.decode("latin-1")):
                told = host.decode("latin-1")[:100]
                return _foreign(
                    f"Host {told!r} is not a name of this server; 'hosts' in serve.toml adds names"
                )
            if len(self._known) < 64:  # noqa: PLR2004
                self._known.add(host)
        origin = headers.get(b"origin")
        if origin is not None:
            _, _, where = origin.decode("latin-1").partition("://")
            if not self.allows(where):
                return _foreign(f"Origin {origin.decode('latin-1')[:100]!r} is foreign")
        return None

    def _called(self, host: str) -> bool:
        return self.allows(host) or (self._numbers and _is_number(addresses.host_of(host)))

    def allows(self, host: str) -> bool:
        """Tell whether ``host`` (with a port or without) is a name of this server."""
        name = addresses.host_of(host)
        return name in self._names or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine's own programs can call ``address``."""
    return _LOOPBACK.fullmatch(address) is not None


def _foreign(text: str) -> Response:
    return failure(HTTPStatus.FORBIDDEN, text)


def _is_number(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
