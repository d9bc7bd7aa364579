"""Where a device may go: copies of a repository, where those send it on, and through which proxy.

Rules only: addresses in, addresses or a refusal out. It asks nobody, and no variable of the
environment has a say.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from littoral import addresses
from littoral.errors import UnreachableError

# A host, all below a name, or an address of IPv6; no port, no *, no network.
_BESIDE: Final = re.compile(r"\.?[\w-]+(\.[\w-]+)*|[0-9A-Fa-f.]*(:[0-9A-Fa-f.]*){2,7}")
_LOOPBACK: Final = ("localhost", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Whom to ask, as whom, and for which hosts not to."""

    host: str
    port: int
    user: str = ""
    secret: Path | None = None  # the file that holds the password, read for each connection
    beside: tuple[str, ...] = ()  # hosts that are reached without it; .lan for all below lan

    @property
    def where(self) -> str:
        return addresses.join(self.host, self.port)

    def serves(self, host: str) -> bool:
        """Whether ``host`` is reached through it."""
        name = host.lower()
        return not (
            is_loopback(name)
            or any(name == one or (one[:1] == "." and name.endswith(one)) for one in self.beside)
        )


def proxy(url: str, *, secret: str = "", beside: tuple[str, ...] = ()) -> Proxy | None:
    """Return the proxy that the settings name, None if they name none.

    Raises:
        ValueError: ``url`` is none of a proxy, or what belongs to it would have no effect.

    """
    if not url:
        return None
    at = urlsplit(url)
    more = at.path.strip("/") or at.query or at.fragment or not url.isprintable()
    if at.scheme != "http" or not at.hostname or at.port == 0 or more:
        raise ValueError(f"expected http://HOST:PORT or http://USER@HOST:PORT, found {url!r}")
    if at.password is not None:
        raise ValueError("a password does not belong here, but in the file that proxy_secret names")
    if secret and not at.username:
        raise ValueError("http://USER@HOST:PORT says whose password is in proxy_secret's file")
    for one in beside:
        if not _BESIDE.fullmatch(one):
            raise ValueError(
                f"proxy_beside: expected hosts as nas.lan, and .lan for all below it, found {one!r}"
            )
    return Proxy(
        host=at.hostname,
        port=at.port or 80,
        user=unquote(at.username or ""),
        secret=Path(secret) if secret else None,
        beside=tuple(one.lower() for one in beside),
    )


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, by its very name."""
    return host in _LOOPBACK or host.startswith("127.")


def moved(base: str, location: str) -> str:
    """Return where ``base`` sends whoever asks it, if one may go there.

    Only over TLS: what stands before a network sends everybody to its page without. This machine's
    own ports are for those whom somebody of this machine sends.

    Raises:
        UnreachableError: One may not.

    """
    try:
        parts = urlsplit(urljoin(base, location))
        host, _ = parts.hostname or "", parts.port
    except ValueError as e:
        raise UnreachableError(f"{urlsplit(base).netloc}: sends us to no address: {e}") from e
    here = is_loopback(urlsplit(base).hostname or "")
    allowed = host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
    if not allowed or parts.username is not None or (is_loopback(host) and not here):
        raise UnreachableError(
            f"{urlsplit(base).netloc}: sends us to {parts.scheme}://{host}, where nobody goes from "
            "there; a captive portal?"
        )
    return parts._replace(fragment="").geturl()


def check_copy(url: str) -> None:
    """See that ``url`` may be a source. Raises ValueError."""
    parts = urlsplit(url)
    host, _ = parts.hostname or "", parts.port
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"expected https://HOST/PATH and nothing more, found {url!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ValueError(f"expected https://, and http:// of this machine alone, found {url!r}")
