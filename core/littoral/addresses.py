"""Where one listens and calls: ``host:port``, ``[host]:port``, and the name in a Host header."""

import re
from typing import Final

_MOST: Final = 65535
# Brackets are a number's of version 6 alone, and behind a colon stands a port or nothing.
_HOST: Final = re.compile(r"(?:\[([^\[\]]*:[^\[\]]*)\]|([^\[\]:]*))(?::[0-9]*)?")


def split(text: str) -> tuple[str, int]:
    """Return the host, without brackets, and the port of ``text``.

    Raises:
        ValueError: It is something else.

    """
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or not port.isascii() or not port.isdigit() or int(port) > _MOST:
        raise ValueError(f"expected HOST:PORT, as 127.0.0.1:8080, found {text!r}")
    return bare, int(port)


def join(host: str, port: int) -> str:
    """Return what ``split`` reads."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(header: str) -> str:
    """Return the name in a Host header, in lower case; the port may be missing there.

    "" where it is no name: a part of it is never one, for who comes next may read another part.
    """
    found = _HOST.fullmatch(header)
    return (found[1] or found[2]).lower() if found else ""
