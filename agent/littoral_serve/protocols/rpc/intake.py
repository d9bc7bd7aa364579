"""Whose messages are read: a message's size is known only when all of it is there.

So no more are read at a time than there is room for, were each as large as it may be; the others
are left with their clients by HTTP/2's flow control. Small ones are there when they are asked
for. Where others wait, who takes long makes room, and the last who came is the next: many slow
clients keep each other waiting, and not those that are fast.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc import aio

from littoral_serve.http.bodies import FULL, Bodies
from littoral_serve.protocols.rpc.ending import Status
from littoral_serve.protocols.rpc.reading import Reading

_PATIENCE_S: Final = 1.0  # with who is slow, where others wait

CROWDED: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, FULL)
_SLOW: Final = (grpc.StatusCode.DEADLINE_EXCEEDED, "the message did not arrive in time")
_NOTHING: Final = (grpc.StatusCode.INVALID_ARGUMENT, "there is no message")


class Intake:
    """Reads the messages of unary calls. All of it happens on the loop."""

    def __init__(
        self,
        bodies: Bodies,
        *,
        places: int,
        within_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bodies, self._clock = bodies, clock
        self._free = places  # so many more may be read
        self._within_s = within_s
        self._reading = Reading(clock)
        self._waiting: dict[asyncio.Future[Status | None], float] = {}  # for a turn, since when

    async def read(self, context: Any) -> bytes | Status:  # noqa: ANN401 (gRPC has no types)
        """Return the message, which ``bodies`` hold until it is given back, or why not."""
        if self._free:
            self._free -= 1
        elif refused := await self._turn():
            return refused
        try:
            data = await self._reading.read(context)
        finally:
            self._leave()
        if data is aio.EOF:
            return _NOTHING
        return data if self._bodies.resize(0, len(data)) else CROWDED

    def sweep(self) -> None:
        """Refuse who takes too long: to be called every second."""
        now = self._clock()
        for turn, since in tuple(self._waiting.items()):
            if now - since > self._within_s:
                del self._waiting[turn]
                if not turn.done():
                    self._bodies.refused += 1
                    turn.set_result(CROWDED)
        self._reading.sweep()
        wait = len(self._waiting) - self._reading.ended()  # so many more places are wanted
        for context, since in self._reading.waited():
            if now - since > self._within_s:
                wait -= 1
                self._reading.end(context, _SLOW)
            elif wait > 0 and now - since > _PATIENCE_S:
                wait -= 1
                self._bodies.refused += 1
                self._reading.end(context, CROWDED)

    async def _turn(self) -> Status | None:
        """Wait for a place; return why there is none."""
        turn: asyncio.Future[Status | None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = self._clock()
        try:
            return await turn
        except asyncio.CancelledError:
            self._waiting.pop(turn, None)
            if not turn.cancelled() and turn.result() is None:
                self._leave()  # it was given the place that it does not need any more
            raise

    def _leave(self) -> None:
        """Give the place to who came last."""
        while self._waiting:
            turn, _ = self._waiting.popitem()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
