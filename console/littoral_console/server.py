"""Runs the console: both listeners, the broker, the relay and the upkeep, in one event loop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from littoral import addresses, durable
from littoral.errors import SettingsError, UnreachableError
from littoral_console import blobs, identities, loop, revocation
from littoral_console import broker as brokers
from littoral_console import tls as certificates
from littoral_console.apart import apart
from littoral_console.app import devices_app, people_app
from littoral_console.blocks import Blocks
from littoral_console.broker import Broker
from littoral_console.bus import Bus
from littoral_console.context import CONSOLE, Context, system_clock
from littoral_console.database import Database, default_url
from littoral_console.http_server import Server
from littoral_console.keys import OnlineKeys
from littoral_console.options import Options, Ready, split_address
from littoral_console.places import listening, only_console
from littoral_console.relay import Relay
from littoral_console.upkeep import heed_others, keep_up

__all__ = ["Options", "Ready", "open_context", "run"]

_WILDCARDS: Final = ("0.0.0.0", "::", "")  # noqa: S104 (compared with, not listened on)
_log = logging.getLogger(__name__)


def run(options: Options, ready: Callable[[Ready], None]) -> None:
    """Run until told to stop. ``ready`` is called once, when all listen.

    Raises:
        PortInUseError, MisuseError, SettingsError, StorageError: It does not come up.

    """
    with (
        only_console(options.data),
        listening("--http", options.http) as people,
        listening("--devices", options.devices) as devices,
    ):
        context = open_context(options)
        try:
            with asyncio.Runner(loop_factory=loop.new_loop) as runner:
                runner.run(_run(context, options, people=people, devices=devices, ready=ready))
        finally:
            context.database.close()
            durable.remove(options.data / CONSOLE)


def open_context(options: Options) -> Context:
    """Open all that a console has, without listening."""
    keys = OnlineKeys.load(options.data / "keys")
    hosts = [split_address("--http", options.http)[0]]
    hosts.append(split_address("--devices", options.devices)[0])
    names = (*(h for h in hosts if h not in _WILDCARDS), *options.names)
    tls = certificates.prepare(
        options.data / "tls", names=names, now=datetime.now(UTC), replica=options.replica
    )
    people_host, devices_host = hosts
    advertised = devices_host if devices_host not in _WILDCARDS else socket.gethostname()
    return Context(
        data=options.data,
        database=Database(options.database or default_url(options.data)),
        keys=keys,
        tls=tls,
        advertised=options.names[0] if options.names else advertised,
        hosts=tuple(name.lower() for name in tls.names),
        secure=not certificates.is_loopback(people_host),
        blobs=blobs.of(options.blobs, data=options.data),
        clock=system_clock,
    )


async def _run(
    context: Context,
    options: Options,
    *,
    people: socket.socket,
    devices: socket.socket,
    ready: Callable[[Ready], None],
) -> None:
    await asyncio.to_thread(context.recover)
    note = await _start_broker(context, options)
    servers = [
        Server.of(people_app(context), pair=context.tls.server if context.secure else None),
        Server.of(devices_app(context), pair=context.tls.server),
    ]
    running = asyncio.get_running_loop()
    stop = partial(_stop, servers, context.bus)
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, stop)
    try:
        async with asyncio.TaskGroup() as group:
            work = [
                group.create_task(keep_up(context)),
                group.create_task(context.load.lag.watch()),
            ]
            if context.broker is not None:
                work.append(group.create_task(context.broker.supervise()))
                if options.database is not None:  # which other consoles may write as well
                    work.append(group.create_task(heed_others(context)))
            if context.relay is not None:
                work.append(group.create_task(context.relay.run()))
                blocks = _blocks(context, context.relay, rate=options.blob_rate)
                work.append(group.create_task(apart(blocks.run)))
            serving = [
                group.create_task(server.serve(sockets=[listener]))
                for server, listener in zip(servers, (people, devices), strict=True)
            ]
            for server in servers:
                await server.up.wait()
            loop.settle()
            ready(await asyncio.to_thread(_ready, context, people, devices, note=note))
            await asyncio.wait(serving, return_when=asyncio.FIRST_COMPLETED)
            stop()
            for task in work:
                task.cancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            running.remove_signal_handler(number)


def _stop(servers: list[Server], bus: Bus) -> None:
    bus.close()
    for server in servers:
        server.should_exit = True


async def _start_broker(context: Context, options: Options) -> str:
    """Start or find the broker; return why there is none, or nothing."""
    note = ""
    if options.broker == "auto":
        note = await _start_child(context, options)
    elif options.broker != "none":
        context.external = _external(options.broker)
    where = _where(context)
    if where is not None:
        context.relay = Relay(intake=context.intake, tls=context.tls, where=where)
    return note if options.broker != "none" else "as asked; devices use HTTPS alone"


def _blocks(context: Context, relay: Relay, *, rate: float) -> Blocks:
    return Blocks(
        tls=relay.tls,
        where=relay.where,
        read=context.repository.read,
        signed_time=context.signed_time,
        heard=lambda device: context.read(partial(identities.is_heard, device=device)),
        rate_bytes_per_s=rate,
    )


async def _start_child(context: Context, options: Options) -> str:
    program = brokers.program()
    if program is None:
        return "mosquitto is not installed; devices use HTTPS alone"
    broker = Broker(
        folder=context.data / "broker",
        tls=context.tls,
        device_ca=context.keys.device_ca,
        host=split_address("--devices", options.devices)[0],
        program=program,
        ended=await context.look(revocation.ended),
    )
    try:
        await broker.start()
    except UnreachableError as e:
        return f"{e}; devices use HTTPS alone"
    context.broker = broker
    return ""


def _where(context: Context) -> Callable[[], tuple[str, int]] | None:
    broker, external = context.broker, context.external
    if external is not None:
        return lambda: external
    if broker is not None:
        host = "127.0.0.1" if broker.host in _WILDCARDS else broker.host
        return lambda: (host, broker.port)
    return None


def _external(url: str) -> tuple[str, int]:
    found = urlsplit(url)
    if found.scheme != "mqtts" or not found.hostname:
        raise SettingsError(f"--broker: expected auto, none or mqtts://HOST:PORT, found {url!r}")
    return found.hostname, found.port or 8883


def _ready(context: Context, people: socket.socket, devices: socket.socket, *, note: str) -> Ready:
    http = _url("https" if context.secure else "http", people, context)
    secured = _url("https", devices, context)
    context.write_addresses(http=http, devices=secured, pid=os.getpid())
    code = context.first_login()
    return Ready(
        http=http,
        devices=secured,
        broker=context.broker_for(context.advertised),
        setup=None if code is None else f"{http}/setup?code={code}",
        note=note,
    )


def _url(scheme: str, listener: socket.socket, context: Context) -> str:
    host, port = listener.getsockname()[:2]
    if host in _WILDCARDS:
        host = context.advertised
    return f"{scheme}://{addresses.join(host, port)}"
