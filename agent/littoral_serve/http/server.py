"""What the connections of one listener share: who answers, the limits, how all of it ends."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

from littoral_serve.http import coding
from littoral_serve.http.bodies import FULL, Bodies
from littoral_serve.http.connection import Connection
from littoral_serve.http.messages import Later, Request, Response, failure

_SWEEP_S: Final = 1.0
_FAREWELL_S: Final = 1.0  # within which a client that stays sends its next request

Answer = Response | Later | Awaitable[Response]
Handler = Callable[[Request], Answer]
Admit = Callable[[asyncio.BaseTransport], Response | None]
Full = Callable[[bytes], Response]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take of serve."""

    max_body_bytes: int
    max_connections: int
    receive_timeout_s: float
    keep_alive_s: float


class Peer(Protocol):
    """One client's connection, as its server sees it."""

    @property
    def busy(self) -> bool: ...
    def check(self, now: float) -> None: ...
    def close(self) -> None: ...


class Server:
    """What the connections of one listener share."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        *,
        admit: Admit | None = None,
        leaving_cancels: bool = False,
        bodies: Bodies | None = None,
        full: Full | None = None,
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.admit = admit  # why a client may not be spoken to, before it is read
        self.leaving_cancels = leaving_cancels  # what runs for a client ends when it hangs up
        self.bodies = bodies or Bodies(limits.max_connections * limits.max_body_bytes)
        self.full = full or _full  # what a path is answered while ``bodies`` hold all they may
        self.connections: set[Peer] = set()
        self.closing = False

    def protocol(self) -> "Connection":
        return Connection(self)

    def answer(self, request: Request) -> Answer:
        try:
            again = request.again
            if again is not None and again.answer is not None:
                return again.answer(request)
            if b"content-encoding" in request.headers:
                most = self.limits.max_body_bytes
                refusal = coding.unpack(
                    request, most_bytes=most, bodies=self.bodies, full=self.full
                )
                if refusal is not None:
                    return refusal
            return self.handler(request)
        except Exception:
            log.exception("%s %r failed", request.method, request.target[:200])
            return failure(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def sweep(self) -> None:
        """Close, for ever, the connections of clients that are too slow."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = time.monotonic()
            for connection in tuple(self.connections):
                connection.check(now)

    async def close(self, *, within_s: float) -> None:
        """Let what is under way end, then close all connections.

        A client that keeps its connection may just be sending the next request: it is answered,
        and told that it was the last, before a connection is closed that only seems idle.
        """
        self.closing = True
        now = time.monotonic()
        end, farewell = now + within_s, now + min(within_s, _FAREWELL_S)
        while self.connections and time.monotonic() < end:
            idle = not any(connection.busy for connection in self.connections)
            if idle and time.monotonic() > farewell:
                break
            await asyncio.sleep(0.01)
        for connection in tuple(self.connections):
            connection.close()


def _full(_: bytes) -> Response:
    return failure(HTTPStatus.SERVICE_UNAVAILABLE, FULL)
