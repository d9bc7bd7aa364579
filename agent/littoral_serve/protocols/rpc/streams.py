"""Whose streams are open: each may bring a message at any time, as large as one may be.

Nobody can tell before all of it is there, and a read that waits is never taken back. So as many
are open at a time as there would be room for, were each one's message as large as it may be. One
more is refused before anything of it is read; but where a client is waited for too long, its
stream makes room.
"""

import math
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

import grpc
from grpc import aio

from littoral_serve.http.bodies import Bodies
from littoral_serve.protocols.rpc.ending import Status
from littoral_serve.protocols.rpc.intake import CROWDED
from littoral_serve.protocols.rpc.reading import Reading

MANY: Final = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "too many streams are open already; a smaller max_body_bytes or more bodies_bytes admit more",
)
SILENT: Final = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "this stream was silent for too long, and another had no room; open it again",
)


class Streams:
    """Reads the messages of streams. All of it happens on the loop."""

    def __init__(
        self,
        bodies: Bodies,
        *,
        places: int,
        within_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bodies, self._clock = bodies, clock
        self._places, self._within_s = places, within_s
        self._open: dict[Any, float] = {}  # which, and since when its client is waited for
        self._reading = Reading(clock)  # of those, whose message is waited for

    def enter(self, context: Any) -> Status | None:  # noqa: ANN401 (gRPC has no types)
        """Let one more be open until it leaves, or return why not."""
        hangs = None
        if len(self._open) == self._places:
            self._bodies.refused += 1  # this one or another
            hangs, since = min(self._open.items(), key=itemgetter(1))
            if self._clock() - since <= self._within_s:
                return MANY
            del self._open[hangs]
        self._open[context] = math.inf
        # Who does not read its answers could not be told; nor is anything read of it any more.
        if hangs in self._reading:
            self._reading.end(hangs, SILENT)
        return None

    def leave(self, context: Any) -> None:  # noqa: ANN401
        """Forget a stream, also one that was refused: its place is another's."""
        self._open.pop(context, None)

    async def read(self, context: Any) -> bytes | Status | None:  # noqa: ANN401
        """Return the next message, as ``Intake.read`` does; None: no more come."""
        if context not in self._open:
            return SILENT
        self._open[context] = self._clock()
        data = await self._reading.read(context)
        self._open[context] = math.inf  # now it is us whom it waits for
        if data is aio.EOF:
            return None
        return data if self._bodies.resize(0, len(data)) else CROWDED

    def answered(self, context: Any) -> None:  # noqa: ANN401
        """Hear that its answer is on its way: now its client is waited for."""
        if context in self._open:
            self._open[context] = self._clock()

    def sweep(self) -> None:
        """Forget whose stream ended and who did not hear of it: to be called every second."""
        self._reading.sweep()
