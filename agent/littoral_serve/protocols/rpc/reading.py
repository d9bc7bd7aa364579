"""Whose message is read, and how a call ends for which nobody waits any more.

A read is never taken back: its client is told why the call ends, and by that the library ends
the read. A client that takes nothing from its connection is not told: what others are sent
stands before it there. So nobody waits until it is; who has not heard of it soon is forgotten.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from littoral_serve.protocols.rpc.ending import Status, Task, forget, own_task

_HEARD_S: Final = 1.0  # by when a client hears of a status, or is forgotten


@dataclass(slots=True)
class _Read:
    task: Task  # whose
    since: float
    telling: Task | None = None  # its client, why it is not waited for
    told: float = 0.0  # since when


class Reading:
    """Reads messages. All of it happens on the loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reads: dict[Any, _Read] = {}

    def __contains__(self, context: Any) -> bool:  # noqa: ANN401 (gRPC has no types)
        return context in self._reads

    async def read(self, context: Any) -> Any:  # noqa: ANN401
        """Return the next message, or the library's EOF."""
        self._reads[context] = _Read(own_task(), self._clock())
        try:
            return await context.read()
        finally:
            del self._reads[context]

    def waited(self) -> list[tuple[Any, float]]:
        """Return whose messages are waited for, and since when."""
        return [(context, one.since) for context, one in self._reads.items() if one.telling is None]

    def ended(self) -> int:
        """Return how many are read that were ended: their clients did not hear of it yet."""
        return sum(one.telling is not None for one in self._reads.values())

    def end(self, context: Any, why: Status) -> None:  # noqa: ANN401
        """End a call whose message is read: whoever reads it hears of it by an exception."""
        one = self._reads[context]
        one.telling = asyncio.create_task(self._tell(context, why))
        one.told = self._clock()

    def sweep(self) -> None:
        """Forget who was told and did not hear of it: to be called every second."""
        now = self._clock()
        deaf: list[Task] = []
        for one in self._reads.values():
            if one.telling is not None and now - one.told > _HEARD_S:
                deaf += (one.task, one.telling)
        if deaf:
            forget(deaf)

    async def _tell(self, context: Any, why: Status) -> None:  # noqa: ANN401
        if context in self._reads:  # else its message has just come
            with contextlib.suppress(Exception):  # it may have ended too, said in many ways
                await context.abort(*why)
