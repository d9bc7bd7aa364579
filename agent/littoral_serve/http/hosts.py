"""Who may call by which name: a web page that points its own name at this machine may not.

Rules only. A browser tells in ``Host`` by which name it came, and in ``Origin`` which page
sent it; neither can be forged by the page.
"""

import re
from collections.abc import Mapping
from typing import Final

from littoral import addresses

_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1", re.ASCII)


class Hosts:
    """The names by which this server may be called, beside those of the loopback."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = frozenset(name.lower() for name in names)
        self._known: set[bytes] = set()

    def refusal(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return why a request with ``headers`` is foreign; None when it is not."""
        host = headers.get(b"host")
        if host not in self._known:
            if host is None:
                return "the request names no Host"
            if not self.allows(host.decode("latin-1")):
                told = host.decode("latin-1")[:100]
                return (
                    f"Host {told!r} is not a name of this server; 'hosts' in serve.toml adds names"
                )
            if len(self._known) < 64:  # noqa: PLR2004
                self._known.add(host)
        origin = headers.get(b"origin")
        if origin is not None:
            _, _, where = origin.decode("latin-1").partition("://")
            if not self.allows(where):
                return f"Origin {origin.decode('latin-1')[:100]!r} is foreign"
        return None

    def allows(self, host: str) -> bool:
        """Tell whether ``host`` (with a port or without) is a name of this server."""
        name = addresses.host_of(host)
        return name in self._names or _LOOPBACK.fullmatch(name) is not None
