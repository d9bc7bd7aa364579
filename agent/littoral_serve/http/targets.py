"""Targets that name a server as well, as they are sent to a proxy. Pure.

RFC 9112, 3.2.2: a server takes them, and whom they name counts instead of Host.
"""

import re
from typing import Final

# Before an @ nobody is named: who reads up to the port would take it for the server.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#@]+)([/?].*|)", re.IGNORECASE | re.DOTALL)


def origin_form(target: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Return the path and query of ``target``; the server that it names becomes the Host.

    What names no Host still names none. Any other target is returned as it is.
    """
    if target.startswith(b"/"):
        return target
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        return target
    if b"host" in headers:
        headers[b"host"] = found[1]
    return found[2] if found[2].startswith(b"/") else b"/" + found[2]
