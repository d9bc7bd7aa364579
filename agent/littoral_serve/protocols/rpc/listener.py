"""gRPC's listener on serve's loop: bytes in, bytes out, and what went wrong as a status.

Importing grpc takes 9 MiB and 30 ms, so this module is imported where gRPC is switched on only.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc import aio

from littoral import addresses
from littoral.errors import LittoralError, PortInUseError
from littoral_serve.http import sockets
from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.protocols.rpc.answering import CODES, Call, Service, Unary
from littoral_serve.protocols.rpc.decoding import WireError
from littoral_serve.protocols.rpc.ending import Status
from littoral_serve.protocols.rpc.intake import Intake
from littoral_serve.protocols.rpc.outlet import UNREAD, Outlet, told
from littoral_serve.protocols.rpc.streams import Streams
from littoral_serve.running.refusals import RefusalError

_LOOK_S: Final = 1.0
_NS: Final = 1_000_000_000
_SAID: Final = (RefusalError, WireError, LittoralError)  # what is told; anything else is a defect

_Read = Callable[[Any], Awaitable[bytes | Status | None]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_message_bytes: int
    max_calls: int  # at once; those beyond are told to come again
    receive_timeout_s: float  # for the message of a call; of a stream, where others want to begin
    keep_alive_s: float  # for a connection on which nothing is asked
    deadline_s: float  # for a call that names none


class Listener:
    """Listens on one address: ``host:port``, or the path of a Unix socket. Made on the loop.

    One call whose path is no UTF-8 ends the library's server for good, and nothing of that is
    told. So it is looked after, and begun anew.
    """

    def __init__(
        self, services: Iterable[Service], limits: Limits, bodies: Bodies | None = None
    ) -> None:
        self._limits, self._services = limits, tuple(services)
        most = limits.max_message_bytes
        self._bodies = bodies or Bodies(limits.max_calls * most)
        # So many messages may come at once, were each as large as it may be.
        places, within_s = max(2, self._bodies.most // most), limits.receive_timeout_s
        self._intake = Intake(self._bodies, places=places, within_s=within_s)
        self._streams = Streams(self._bodies, places=places, within_s=within_s)
        self._outlet = Outlet(self._bodies, within_s=within_s)
        self._address = ""
        self.ending = False  # it answers what was begun, and nothing else
        self._chore: asyncio.Task[None] | None = None
        self._server = self._made()
        logging.getLogger("grpc._cython.cygrpc").addFilter(told)

    def _made(self) -> aio.Server:
        limits = self._limits
        server = aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_connection_idle_ms", int(limits.keep_alive_s * 1000)),
                # Else each message that is not asked for may have some MiB on their way here.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", OWN),
                ("grpc.so_reuseport", 0),  # else two of us would share a port, unawares
            ],
            maximum_concurrent_rpcs=limits.max_calls,
        )
        for service in self._services:
            handlers: dict[str, Any] = {}
            for name, unary in service.unary.items():
                # As a stream of one: a message that is not asked for stays with its client.
                handlers[name] = grpc.stream_unary_rpc_method_handler(self._unary(unary))
            for name, stream in service.streams.items():
                handlers[name] = grpc.stream_stream_rpc_method_handler(self._stream(stream))
            handler = grpc.method_handlers_generic_handler(service.name, handlers)
            server.add_generic_rpc_handlers((handler,))
        return server

    async def start(self, address: str) -> str:
        """Listen on ``address``, and return it with the port that it has.

        Raises:
            PortInUseError: Another program listens there.
            MisuseError: This machine has no such address.
            StorageError: The socket's file cannot be made.

        """
        # gRPC takes a Unix socket from whoever listens on it, and words no error: ours is first.
        if not address.startswith("/"):
            sockets.tcp(*addresses.split(address)).close()
        self._address = await self._begin(address)
        self._chore = asyncio.create_task(self._look_after())
        return self._address

    async def _begin(self, address: str) -> str:
        if address.startswith("/"):
            sockets.unix(Path(address)).close()
            mask = os.umask(0o117)
            try:
                self._bind(f"unix:{address}")
            finally:
                os.umask(mask)
        else:
            address = addresses.join(addresses.split(address)[0], self._bind(address))
        await self._server.start()
        return address

    async def _look_after(self) -> None:
        """Begin anew, for ever, where nobody listens any more."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for swept in (self._outlet, self._intake, self._streams):
                swept.sweep()
            if await self._listens():
                continue
            log.error("gRPC: the library's server on %s ended; another begins", self._address)
            over, self._server = self._server, self._made()
            with contextlib.suppress(Exception):  # it is over already, and says so in many ways
                await asyncio.wait_for(over.stop(0), _LOOK_S)
            try:
                await self._begin(self._address)
            except LittoralError as e:
                log.error("gRPC: %s [%s]", e, e.code)  # noqa: TRY400 (it says it all)

    async def _listens(self) -> bool:
        try:
            if self._address.startswith("/"):
                _, writer = await asyncio.open_unix_connection(self._address)
            else:
                _, writer = await asyncio.open_connection(*addresses.split(self._address))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # nobody can tell, as where there are no descriptors left
        writer.close()
        return True

    def _bind(self, address: str) -> int:
        try:
            return int(self._server.add_insecure_port(address))
        except RuntimeError as e:
            raise PortInUseError(address) from e

    async def stop(self, *, within_s: float) -> None:
        """Let what is under way end, then close all connections."""
        self.ending = True
        if self._chore is not None:
            self._chore.cancel()
        await self._server.stop(within_s)

    def _call(self, data: bytes, context: Any) -> Call:  # noqa: ANN401 (gRPC has no types)
        now = time.perf_counter_ns()
        left_s = context.time_remaining()
        left_s = self._limits.deadline_s if left_s is None else left_s
        return Call(data, now, now + int(left_s * _NS))

    def _unary(self, answer: Unary) -> Any:  # noqa: ANN401
        async def handle(_: Any, context: Any) -> bytes | None:  # noqa: ANN401
            made = await self._next(self._intake.read, answer, context)
            self._outlet.last(made or b"")
            return made

        return handle

    def _stream(self, answer: Unary) -> Any:  # noqa: ANN401
        async def handle(_: Any, context: Any) -> None:  # noqa: ANN401
            streams = self._streams
            try:
                if refused := streams.enter(context):
                    await self._abort(context, refused)
                while (made := await self._next(streams.read, answer, context)) is not None:
                    streams.answered(context)
                    await self._outlet.write(context, made)
                self._outlet.last(b"")
            finally:
                streams.leave(context)

        return handle

    async def _next(self, read: _Read, answer: Unary, context: Any) -> bytes | None:  # noqa: ANN401
        """Return the answer to the next message; None: there is none."""
        data = await read(context)
        if data is None:
            return None
        if not isinstance(data, bytes):
            return await self._abort(context, data)
        size = len(data)
        try:
            made = await self._answer(answer, self._call(data, context))
        finally:
            self._bodies.give(size)
        # A call that is aborted holds its frames, and they hold it, until the collector comes.
        del data
        if isinstance(made, bytes) and self._outlet.refuses(len(made)):
            made = UNREAD
        return made if isinstance(made, bytes) else await self._abort(context, made)

    async def _answer(self, answer: Unary, call: Call) -> bytes | Status:
        try:
            return await answer(call)
        except _SAID as e:
            return _code(e), str(e)
        except Exception:
            log.exception("a call failed")
            return grpc.StatusCode.INTERNAL, "a defect of this server: its log says more"

    async def _abort(self, context: Any, why: Status) -> bytes:  # noqa: ANN401
        self._outlet.last(b"")
        never: bytes = await context.abort(*why)
        return never


def _code(error: Exception) -> grpc.StatusCode:
    for kind in type(error).__mro__:
        if kind in CODES:
            return grpc.StatusCode[CODES[kind]]
    return grpc.StatusCode.INTERNAL
