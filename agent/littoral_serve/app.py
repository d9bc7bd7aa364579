"""Serve as a whole: its listeners, what it loads when it starts, how it stops.

A device waits for its start, so what only the agent's orders need is imported with the first.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from littoral import addresses, journal_log, notify
from littoral.errors import LittoralError, MisuseError, SettingsError
from littoral.tree import DATA, Tree
from littoral_serve import readiness, settings
from littoral_serve.http import sockets
from littoral_serve.http.accepting import Refusing
from littoral_serve.http.hosts import Hosts, is_loopback
from littoral_serve.http.messages import Request, Response
from littoral_serve.http.server import Limits, Server
from littoral_serve.protocols.clients import Clients
from littoral_serve.protocols.frames import Frames
from littoral_serve.protocols.framing import Framed
from littoral_serve.running import pictures
from littoral_serve.running.lane import Bounds
from littoral_serve.running.live import Live, Models, Resources
from littoral_serve.running.memory import Residents
from littoral_serve.running.pictures import Pictures
from littoral_serve.running.timings import Timings
from littoral_serve.settings import Settings
from littoral_serve.tpu import Tpus

if TYPE_CHECKING:
    from littoral_serve.protocols.rpc.listener import Listener

_CONTROL_BODY_BYTES: Final = 1024 * 1024
_CLOSE_S: Final = 5.0
# A release is loaded in a thread: with Python's 5 ms, each turn of it would hold requests so long.
_TURN_S: Final = 0.0001

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    data: Path | None = None
    http: str | None = None
    grpc: str | None = None
    settings: Path | None = None
    models: tuple[str, ...] = ()  # NAME=PATH[,labels=FILE]
    json: bool = False


def main(options: Options) -> int:
    """Serve until a signal says stop.

    Raises:
        MisuseError: There is nothing to serve, or a setting is wrong.
        PortInUseError: Another program listens where this one would.
        StorageError: A socket or a named file cannot be had.

    """
    if options.data is None and not options.models:
        if not DATA.is_dir():
            raise MisuseError("expected --data DIR, or --model NAME=PATH, found neither")
        options = replace(options, data=DATA)
    journal_log.set_up("littoral-serve", form="%(levelname)s: %(message)s")
    sys.setswitchinterval(_TURN_S)
    app = App(options, _settings(options))
    asyncio.run(app.run())
    return 0


def _settings(options: Options) -> Settings:
    file = options.settings
    if file is None:
        places = settings.places(options.data)
        file = next((place for place in places if place.is_file()), None)
    chosen = settings.load(file)
    http = chosen.http if options.http is None else options.http
    grpc = chosen.grpc if options.grpc is None else options.grpc
    try:
        return replace(chosen, http=http, grpc=grpc)
    except ValueError as e:
        raise SettingsError(str(e)) from e


class App:
    """Owns the listeners. Made before the loop runs, so that what is wrong is said at once."""

    def __init__(self, options: Options, chosen: Settings) -> None:
        self._options, self._settings = options, chosen
        self._tree = None if options.data is None else Tree(options.data)
        self._sockets = sockets.opened(chosen.http, self._tree)
        where, port = self._sockets.address
        self._http = addresses.join(where, port)
        self._grpc: str | None = None
        named, _ = addresses.split(chosen.http)
        self._hosts = Hosts(
            frozenset({named, where, *chosen.hosts}), numbers=not is_loopback(where)
        )
        residents = Residents(budget_bytes=chosen.memory_bytes, pinned=chosen.pinned)
        self._models = Models(
            keep_previous_free_bytes=chosen.keep_previous_free_bytes, residents=residents
        )
        bounds = Bounds(requests=chosen.queue_requests, bytes=chosen.queue_bytes)
        self._tpus = Tpus(chosen)
        self._resources = Resources(
            threads=chosen.threads,
            bounds=bounds,
            residents=residents,
            engines=_engines(options.data),
            elsewhere=self._tpus,
        )
        self._pictures = Pictures(
            pictures.Bounds(pixels=chosen.max_picture_pixels, requests=chosen.queue_requests)
        )
        self._timings = Timings(backlog_bytes=chosen.timings_backlog_bytes)
        self._orders: Callable[[Request], Awaitable[Response]] | None = None

    async def run(self) -> None:
        self._load()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(Refusing())
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        servers, listeners = await self._listen()
        grpc = await self._listen_grpc()
        chores = [asyncio.create_task(server.sweep()) for server in servers]
        chores.append(asyncio.create_task(self._windows()))
        watchdog = asyncio.create_task(readiness.watchdog(listeners, chores))
        self._say_ready()
        await stop.wait()
        notify.tell("STOPPING=1")
        for listener in listeners:
            listener.close()
        ending = [server.close(within_s=_CLOSE_S) for server in servers]
        if grpc is not None:
            ending.append(grpc.stop(within_s=_CLOSE_S))
        await asyncio.gather(*ending)
        await self._tpus.close()
        for chore in (*chores, watchdog):
            chore.cancel()

    async def _listen(self) -> tuple[list[Server], list[asyncio.Server]]:
        """Answer all who may come; return what their connections share, and what listens."""
        loop, listeners = asyncio.get_running_loop(), []
        clients = self._server(self._hosts)
        local, control = self._server(None), self._control_server()
        frames = Frames(self._models, deadline_s=self._settings.deadline_s)
        # Also for the local ones: Python 3.13's create_unix_server removes the file when it
        # ends, which is systemd's and stays.
        for protocol, listening in (
            (clients.protocol, self._sockets.http),
            (partial(Framed, local, frames), self._sockets.serve),
            (control.protocol, self._sockets.control),
        ):
            listeners += [await loop.create_server(protocol, sock=one) for one in listening]
        return [clients, local, control], listeners

    async def _listen_grpc(self) -> "Listener | None":
        if not self._settings.grpc:
            return None
        from littoral_serve.protocols.rpc import serving

        try:
            listener, self._grpc = await serving.listen(
                self._models, self._settings, self._pictures
            )
        except LittoralError as e:
            if self._options.data is None:
                raise
            # A device goes on: who asks over HTTP needs none of it.
            log.error("gRPC is not answered: %s [%s]", e, e.code)  # noqa: TRY400
            return None
        return listener

    def _load(self) -> None:
        """Load what the command line names, and what the journals call good."""
        if self._options.models:
            from littoral_serve.running import named

            for one in named.load_all(self._options.models, resources=self._resources):
                self._switch(one)
        if self._tree is not None:
            from littoral_serve import installed

            for one in installed.load(self._tree, models=self._models, resources=self._resources):
                self._switch(one)

    def _switch(self, one: Live) -> None:
        for meter in one.meters:
            self._timings.watch(meter)
        self._models.switch(one)

    def _order(self, request: Request) -> Awaitable[Response]:
        if self._orders is None:
            from littoral_serve.control import Control

            self._orders = Control(
                self._options.data or Path(),
                models=self._models,
                timings=self._timings,
                settings=self._settings,
                resources=self._resources,
                tpus=self._tpus,
                http=self._http,
            ).handle
        return self._orders(request)

    def _server(self, hosts: Hosts | None) -> Server:
        """Return what answers clients, who name one of ``hosts``; None: any."""
        s = self._settings
        clients = Clients(
            self._models, hosts=hosts, deadline_s=s.deadline_s, pictures=self._pictures
        )
        return Server(clients.handle, self._limits(s.max_body_bytes))

    def _control_server(self) -> Server:
        limits = self._limits(_CONTROL_BODY_BYTES)
        return Server(self._order, limits, admit=sockets.known_peer, leaving_cancels=True)

    def _limits(self, max_body_bytes: int) -> Limits:
        return Limits(
            max_body_bytes=max_body_bytes,
            max_connections=self._settings.max_connections,
            receive_timeout_s=self._settings.receive_timeout_s,
            keep_alive_s=self._settings.keep_alive_s,
        )

    async def _windows(self) -> None:
        while True:
            await asyncio.sleep(self._settings.window_s)
            self._timings.close_window(meter for one in self._models for meter in one.meters)

    def _say_ready(self) -> None:
        # What is here now stays; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        releases = {one.model: one.release for one in self._models}
        readiness.say_ready(releases, http=self._http, grpc=self._grpc, as_json=self._options.json)


def _engines(data: Path | None) -> Path | None:
    """Return where engines are kept: in the cache that systemd gives serve, or else in ``data``."""
    place = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    folder = Path(place) if place else data and data / "cache"
    return folder and folder / "engines"
