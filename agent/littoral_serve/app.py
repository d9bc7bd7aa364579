"""Serve as a whole: what it is made of, what it loads when it starts, how it stops.

A device waits for its start, so what only the agent's orders need is imported with the first.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from littoral import journal_log, notify
from littoral.errors import MisuseError, SettingsError
from littoral.tree import DATA, Tree
from littoral_serve import readiness, settings
from littoral_serve.http.accepting import Refusing
from littoral_serve.http.messages import Request, Response
from littoral_serve.listening import Listening
from littoral_serve.running import pictures
from littoral_serve.running.lane import Bounds
from littoral_serve.running.live import Live, Models, Resources
from littoral_serve.running.memory import Residents
from littoral_serve.running.pictures import Pictures
from littoral_serve.running.slack import Slack
from littoral_serve.running.timings import Timings
from littoral_serve.settings import Settings
from littoral_serve.tpu import Tpus

# A release is loaded in a thread: with Python's 5 ms, each turn of it would hold requests so long.
_TURN_S: Final = 0.0001


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
    gc.freeze()  # millions of lists of a body that is still read: to look at them takes seconds
    return 0


def _settings(options: Options) -> Settings:
    chosen = settings.load(options.settings or settings.found(options.data))
    http = chosen.http if options.http is None else options.http
    grpc = chosen.grpc if options.grpc is None else options.grpc
    try:
        return replace(chosen, http=http, grpc=grpc)
    except ValueError as e:
        raise SettingsError(str(e)) from e


class App:
    """Owns what serve has. Made before the loop runs, so that what is wrong is said at once."""

    def __init__(self, options: Options, chosen: Settings) -> None:
        self._options, self._settings = options, chosen
        self._tree = None if options.data is None else Tree(options.data)
        residents = Residents(budget_bytes=chosen.memory_bytes, pinned=chosen.pinned)
        self._models = Models(
            keep_previous_free_bytes=chosen.keep_previous_free_bytes, residents=residents
        )
        self._listening = Listening(
            chosen,
            self._tree,
            self._models,
            pictures=_pictures(chosen),
            orders=self._order,
        )
        self._tpus = Tpus(chosen)
        self._resources = Resources(
            threads=chosen.threads,
            bounds=Bounds(requests=chosen.queue_requests, bytes=chosen.queue_bytes),
            residents=residents,
            engines=_engines(options.data),
            elsewhere=self._tpus,
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
        await self._listening.begin()
        chores = [asyncio.create_task(sweep) for sweep in self._listening.sweeps()]
        chores.append(asyncio.create_task(self._windows()))
        watchdog = asyncio.create_task(readiness.watchdog(self._listening.listeners, chores))
        self._say_ready()
        gc.enable()  # which littoral_serve.__main__ put off
        # What is here now stays; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        await stop.wait()
        notify.tell("STOPPING=1")
        await self._listening.end()
        await self._tpus.close()
        for chore in (*chores, watchdog):
            chore.cancel()

    def _load(self) -> None:
        """Load what the command line names, and what the journals call good."""
        if self._options.models:
            from littoral_serve.running import named

            words, device = self._options.models, self._tree is not None
            for one in named.load_all(words, resources=self._resources, device=device):
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
                http=self._listening.http,
            ).handle
        return self._orders(request)

    async def _windows(self) -> None:
        slack = Slack()
        while True:
            await asyncio.sleep(self._settings.window_s)
            slack.look()
            self._timings.close_window(meter for one in self._models for meter in one.meters)

    def _say_ready(self) -> None:
        releases = {one.model: one.release for one in self._models}
        here, as_json = self._listening, self._options.json
        readiness.say_ready(releases, http=here.http, grpc=here.grpc, as_json=as_json)


def _pictures(chosen: Settings) -> Pictures:
    bounds = pictures.Bounds(pixels=chosen.max_picture_pixels, requests=chosen.queue_requests)
    return Pictures(bounds)


def _engines(data: Path | None) -> Path | None:
    """Return where engines are kept: in the cache that systemd gives serve, or else in ``data``."""
    place = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    folder = Path(place) if place else data and data / "cache"
    return folder and folder / "engines"
