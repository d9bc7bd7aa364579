"""HTTP as the console's listeners speak it: uvicorn, twice in one loop. It knows no endpoint.

A signal ends both, and so is neither's own.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from littoral_console import loop

_GRACE_S: Final = 2
_IDLE_S: Final = 65  # longer than a device's poll and its pause, and than a slow line's last bytes


class Server(uvicorn.Server):
    """One listener's. ``up`` is set when it takes connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @classmethod
    def of(cls, app: FastAPI, *, pair: tuple[Path, Path] | None) -> Self:
        """Return one that has not begun; ``pair`` is a certificate and its key, None: no TLS."""
        certificate, key = pair or (None, None)
        return cls(
            uvicorn.Config(
                app,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                http=_Connection,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                lifespan="off",
                backlog=loop.AT_ONCE,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(loop.BACKLOG)  # the loop takes few at once, and the kernel keeps more
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Connection(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """One whose answers are called complete when they have left, or nearly.

    TLS keeps half a mebibyte of each. What is there when uvicorn closes an idle connection is lost.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)  # first: TLS has tickets to send, and says so at once
        transport.set_write_buffer_limits(high=1)
