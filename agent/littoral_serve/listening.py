"""Where serve listens, and who is answered there: clients, programs of this machine, the agent.

What the agent orders is for whoever made this. Knows neither what is loaded nor when to stop.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from littoral import addresses
from littoral.errors import LittoralError
from littoral.tree import Tree
from littoral_serve.http import sockets
from littoral_serve.http.bodies import Bodies
from littoral_serve.http.hosts import Hosts, is_loopback
from littoral_serve.http.server import Handler, Limits, Server
from littoral_serve.protocols.apart import Apart
from littoral_serve.protocols.clients import Clients
from littoral_serve.protocols.frames import Frames
from littoral_serve.protocols.framing import Framed
from littoral_serve.running.live import Models
from littoral_serve.running.pictures import Pictures
from littoral_serve.settings import Settings

if TYPE_CHECKING:
    from littoral_serve.protocols.rpc.listener import Listener

_CONTROL_BODY_BYTES: Final = 1024 * 1024
_CLOSE_S: Final = 5.0

log = logging.getLogger(__name__)


class Listening:
    """All that serve listens on. Its sockets are there from the beginning, answers from begin() on.

    Raises:
        PortInUseError: Another program listens where this one would.
        MisuseError: This machine has no such address.
        StorageError: A socket cannot be made.

    """

    def __init__(
        self,
        chosen: Settings,
        tree: Tree | None,
        models: Models,
        *,
        pictures: Pictures,
        orders: Handler,
    ) -> None:
        self._settings, self._device = chosen, tree is not None
        self._models, self._pictures, self._orders = models, pictures, orders
        self._apart = Apart()
        self._bodies = Bodies(max(chosen.bodies_bytes, chosen.max_body_bytes))
        self._sockets = sockets.opened(chosen.http, tree)
        self.http = addresses.join(*self._sockets.address)
        self.grpc: str | None = None  # its address, once it is listened on
        self.listeners: list[asyncio.Server] = []
        self._servers: list[Server] = []
        self._ending = False
        self._rpc: Listener | None = None

    async def begin(self) -> None:
        """Answer all who may come.

        Raises:
            LittoralError: gRPC cannot be answered, and this is no device.

        """
        loop = asyncio.get_running_loop()
        clients, local = self._server(self._hosts()), self._server(None)
        limits = self._limits(_CONTROL_BODY_BYTES)
        control = Server(self._orders, limits, admit=sockets.known_peer, leaving_cancels=True)
        self._servers = [clients, local, control]
        frames = Frames(self._models, deadline_s=self._settings.deadline_s)
        # Also for the local ones: Python 3.13's create_unix_server removes the file when it
        # ends, which is systemd's and stays.
        for protocol, listening in (
            (clients.protocol, self._sockets.http),
            (partial(Framed, local, frames), self._sockets.serve),
            (control.protocol, self._sockets.control),
        ):
            self.listeners += [await loop.create_server(protocol, sock=one) for one in listening]
        if self._settings.grpc:
            await self._begin_rpc()

    def sweeps(self) -> list[Coroutine[Any, Any, None]]:
        """Return what is to be run all the time: it ends connections that take too long."""
        return [server.sweep() for server in self._servers]

    async def end(self) -> None:
        """Listen no more, and answer what was begun. Who asks is told that serve is not ready."""
        self._ending = True
        for listener in self.listeners:
            listener.close()
        ending = [server.close(within_s=_CLOSE_S) for server in self._servers]
        if self._rpc is not None:
            ending.append(self._rpc.stop(within_s=_CLOSE_S))
        await asyncio.gather(*ending)

    async def _begin_rpc(self) -> None:
        from littoral_serve.protocols.rpc import serving

        try:
            self._rpc, self.grpc = await serving.listen(
                self._models, self._settings, self._bodies, self._pictures
            )
        except LittoralError as e:
            if not self._device:
                raise
            # A device goes on: who asks over HTTP needs none of it.
            log.error("gRPC is not answered: %s [%s]", e, e.code)  # noqa: TRY400

    def _hosts(self) -> Hosts:
        named, _ = addresses.split(self._settings.http)
        where, _ = self._sockets.address
        names = frozenset({named, where, *self._settings.hosts})
        return Hosts(names, numbers=not is_loopback(where))

    def _server(self, hosts: Hosts | None) -> Server:
        """Return what answers clients, who name one of ``hosts``; None: any."""
        clients = Clients(
            self._models,
            hosts=hosts,
            bodies=self._bodies,
            deadline_s=self._settings.deadline_s,
            pictures=self._pictures,
            apart=self._apart,
            ready=lambda: not self._ending,
        )
        limits = self._limits(self._settings.max_body_bytes)
        return Server(clients.handle, limits, bodies=self._bodies, full=clients.full)

    def _limits(self, max_body_bytes: int) -> Limits:
        return Limits(
            max_body_bytes=max_body_bytes,
            max_connections=self._settings.max_connections,
            receive_timeout_s=self._settings.receive_timeout_s,
            keep_alive_s=self._settings.keep_alive_s,
        )
