"""The image repository over HTTPS: the console's, and copies of it on any server.

Whoever is asked for a file may say that it lies elsewhere, as a console does whose blobs are in a
bucket. That is followed for files alone, which are believed by their digests: never for what a
device says to its console, and with nothing that would prove who asks.
"""

import http
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from littoral.errors import BehindError, ForgottenError, UnreachableError
from littoral_agent.origin import Origin
from littoral_agent.reply import MovedError, check_file, forgotten
from littoral_agent.routes import Proxy, moved
from littoral_agent.settings import Settings
from littoral_agent.streams import Stream
from littoral_agent.tls import Public

MOST_MOVES: Final = 3
_MOST_ORIGINS: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a file lies: a server, and a path there with all that belongs to it."""

    origin: Origin
    path: str
    lent: bool = False  # somebody else sent us there


class Hosts:
    """Every server that is not the console, by scheme and name. Threads may share it."""

    def __init__(self, *, ca: Public, proxy: Proxy | None = None) -> None:
        self._ca, self._proxy = ca, proxy
        self._lock = threading.Lock()
        self._known: dict[str, Origin] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return them as the settings say whom to believe, and which way to go."""
        more = Path(settings.sources_ca) if settings.sources_ca else None
        return cls(ca=Public(more), proxy=settings.through)

    def at(self, url: str) -> Spot:
        """Return the server of ``url``, and what is asked of it there."""
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            origin = self._known.pop(base, None) or Origin(base, ca=self._ca, proxy=self._proxy)
            self._known[base] = origin  # the last to be forgotten
            if len(self._known) > _MOST_ORIGINS:
                self._known.pop(next(iter(self._known))).close()
        return Spot(origin, _asked(parts))

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            for origin in self._known.values():
                origin.close()


class Repository:
    """The image repository below ``prefix`` of an origin: a littoral.trust.client.Fetch.

    A copy ``lags``: that it is older than what is known is nobody's fault.
    """

    offline = False

    def __init__(
        self,
        origin: Origin,
        *,
        prefix: str = "repo/",
        hosts: Hosts | None = None,
        lags: bool = False,
    ) -> None:
        self._origin, self._prefix, self._hosts, self.lags = origin, prefix, hosts, lags

    def __str__(self) -> str:
        return f"{self._origin.url}/{self._prefix}".rstrip("/")

    def __call__(self, name: str, *, limit: int) -> bytes:
        """Return the file ``name``, of at most ``limit`` bytes.

        Raises:
            ForgottenError: The repository does not hold it.
            DeniedError: It does not give it to this device.
            EndlessError, SlowError: As Origin.get.
            UnreachableError: Nobody answers, or somebody else does.

        """

        def ask(spot: Spot) -> bytes:
            reply = spot.origin.get(spot.path, limit=limit)
            if reply.status != http.HTTPStatus.OK:
                raise forgotten(name, reply, lent=spot.lent)
            check_file(name, reply.headers)
            return reply.body

        return self._follow(name, ask)

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        """Open the file ``name``; as Origin.stream, but a copy may not have it yet: BehindError."""

        def ask(spot: Spot) -> Stream:
            opening = spot.origin.stream(spot.path, start=start, lent=spot.lent)
            return opened.enter_context(opening)

        with ExitStack() as opened:
            try:
                stream = self._follow(name, ask)
            except ForgottenError as e:
                raise BehindError(str(e)) if self.lags else e from None
            yield stream

    def _follow(self, name: str, ask: Callable[[Spot], T]) -> T:
        spot = Spot(self._origin, self._prefix + name)
        for _ in range(MOST_MOVES + 1):
            try:
                return ask(spot)
            except MovedError as e:
                if self._hosts is None:
                    raise
                spot = self._moved(spot, e.location, self._hosts)
        raise UnreachableError(f"{name}: sent elsewhere more than {MOST_MOVES} times")

    @staticmethod
    def _moved(spot: Spot, location: str, hosts: Hosts) -> Spot:
        url = moved(f"{spot.origin.url}/{spot.path.lstrip('/')}", location)
        if url.startswith(f"{spot.origin.url}/"):  # who sent us there is believed as before
            return Spot(spot.origin, _asked(urlsplit(url)), lent=True)
        return replace(hosts.at(url), lent=True)


def copy(url: str, hosts: Hosts) -> Repository:
    """Return the copy of a repository that lies below ``url``, on any server."""
    spot = hosts.at(url)
    return Repository(
        spot.origin, prefix=f"{spot.path.strip('/')}/".lstrip("/"), hosts=hosts, lags=True
    )


def _asked(parts: SplitResult) -> str:
    return parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")
