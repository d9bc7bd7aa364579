"""Servers in the test's own process, and one client's connection, without a socket."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from faults.repeats_made import Deed
from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral_serve.http.bodies import Bodies
from littoral_serve.http.connection import Connection
from littoral_serve.http.hosts import Hosts
from littoral_serve.http.server import Limits, Server
from littoral_serve.protocols.clients import Clients
from littoral_serve.running.live import Live, Models
from littoral_serve.running.runners import Done, OnLoop, Outputs
from simulators.loaded import loaded, models

_MOST: Final = 700_000  # bytes of all bodies
_LIMITS: Final = Limits(
    max_body_bytes=400_000, max_connections=99, receive_timeout_s=30, keep_alive_s=75
)
_TURNS: Final = 20_000  # of the loop, which a request of a thousand instances needs some of


class _Sums:
    """A session whose answer tells all that it was given."""

    def __init__(self, *shapes: tuple[int, ...], dtype: str = "float32", factor: int = 1) -> None:
        names = ("x",) if len(shapes) == 1 else ("left", "right")
        scale = 0.1 if dtype == "int8" else 0.0  # of one that refuses what is no number
        self.inputs = tuple(
            Tensor(name=name, shape=shape, dtype=dtype, scale=scale)  # type: ignore[arg-type]
            for name, shape in zip(names, shapes, strict=True)
        )
        batched = shapes[0][0] == 1
        self._rows = 1 if batched else 2
        self.outputs = (Tensor(name="y", shape=(self._rows, 2), dtype="float32"),)
        self._factor = factor

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        flat = np.concatenate([np.asarray(one).ravel().view(np.uint8) for one in inputs])
        weights = np.arange(1, len(flat) + 1) % 251
        told = [float(flat.astype(np.int64) @ weights % 65_521), float(self._factor)]
        return (np.array([told] * self._rows, np.float32),)


class _Later(OnLoop):
    """Answers when others had their turn."""

    at_once = False

    def run(self, inputs: Outputs, done: Done) -> None:
        asyncio.get_running_loop().call_soon(super().run, inputs, done)


def _lives() -> list[Live]:
    later = _Sums((1, 64))
    return [
        loaded(_Sums((1, 64)), model="m"),
        loaded(later, _Later(later), model="later"),
        loaded(_Sums((1, 16), dtype="bool"), model="flags"),
        loaded(_Sums((1, 16), dtype="int8"), model="small"),
        loaded(_Sums((1, 8), (1, 4)), model="two"),
        loaded(_Sums((3, 5)), size=None, model="one"),
        loaded(_Sums((20, 64)), size=None, model="page"),
        loaded(_Sums((1023, 64)), size=None, model="near"),
        loaded(_Sums((1100, 64)), size=None, model="far"),
    ]


class _Wire(asyncio.Transport):
    """A client's end, without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = bytearray()
        self.over = self.silent = self.paused = False

    def write(self, data: Any) -> None:
        assert not self.silent, "it writes after it said that it would not"
        self.heard += data

    def write_eof(self) -> None:
        self.silent = True

    def close(self) -> None:
        self.over = True

    abort = close

    def is_closing(self) -> bool:
        return self.over

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class World:
    """A server, and the connection that is spoken over."""

    def __init__(self) -> None:
        self.models: Models = models(*_lives())
        bodies = Bodies(_MOST)
        clients = Clients(self.models, hosts=Hosts(frozenset()), bodies=bodies, deadline_s=1e6)
        self.server = Server(clients.handle, _LIMITS, bodies=bodies, full=clients.full)
        self._filled = 0
        self.renew()

    def renew(self) -> None:
        self.wire, self.connection = _Wire(), Connection(self.server)
        self.connection.connection_made(self.wire)
        self._left = False  # the client says nothing more

    def do(self, deed: Deed, number: int) -> None:
        match deed:
            case "switch" | "shape":
                shape = (1, 64) if deed == "switch" else (1, 32)
                new = _Sums(shape, factor=number)
                self.models.switch(loaded(new, model="m", release=number))
            case "remove":
                self.models.remove("m")
            case "slow":
                self.connection.check(time.monotonic() + 1000)
            case "stuff":
                self.connection.pause_writing()
            case "fill":  # others take most of the room
                most = max(0, _MOST - 10_000 - self.server.bodies.held)
                self.server.bodies.held += most
                self._filled += most
            case "close":
                self.server.closing = True
            case "leave":  # it goes on to listen
                self._left = True
                if not self.connection.eof_received():
                    self.wire.close()
            case "lose":
                self._lose()
            case _:
                pass

    def hear(self, piece: bytes) -> Iterator[bytes]:
        """Take what the client says, or as much as is read; yield it as it was taken."""
        left = memoryview(piece)
        while left and not (self.wire.over or self._left):
            room = self.connection.get_buffer(-1)
            part, left = left[: len(room)], left[len(room) :]
            room[: len(part)] = part
            self.connection.buffer_updated(len(part))
            yield bytes(part)
        yield bytes(left)

    def parse(self, piece: bytes) -> None:
        """Take what the client says as what came before the connection was there."""
        if piece and not (self.wire.over or self._left):
            self.connection.data_received(piece)

    async def answer(self, whole: bytes) -> bytes:
        """Return the answer to a request over a connection of its own."""
        self.renew()
        _ = [*self.hear(whole)]
        await self.rest()
        self._lose()
        return bytes(self.wire.heard)

    async def rest(self) -> list[str]:
        """Let what runs end."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if not self.connection.busy:
                return []
        return ["hang: what it was asked is never answered"]

    def _lose(self) -> None:
        if self.connection in self.server.connections:
            self.wire.close()
            self.connection.connection_lost(None)

    def end(self) -> list[str]:
        self._lose()
        self.server.bodies.held -= self._filled
        held = self.server.bodies.held
        return [f"leak: {held} bytes"] if held else []
