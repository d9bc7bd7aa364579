"""Whose answers are on their way: one that its client does not read stays here until it does.

So what it holds counts among the bodies, and who takes too long is ended. To abort such a call
ends nothing: the library sends the status behind the answer, and keeps both. It gives up a call,
and what was to be sent, where nobody holds it any more; so both its tasks are cancelled.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final

import grpc

from littoral_serve.http.bodies import OWN, Bodies

UNREAD: Final = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "too many large answers are not read yet; try again later",
)
_KEEPS: Final = "_schedule_rpc_coro"  # the library's: it holds a call until the client ends it

_Task = asyncio.Task[Any]


class Outlet:
    """Writes answers, and ends who does not read them. All of it happens on the loop."""

    def __init__(
        self, bodies: Bodies, *, within_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bodies, self._clock = bodies, clock
        self._within_s = within_s
        self._going: dict[_Task, tuple[float, int]] = {}  # whose, since when and how much

    def refuses(self, size: int) -> bool:
        """Tell whether there is no room for one more: one alone may be larger than all there is."""
        if size <= OWN or self._bodies.held < self._bodies.most:
            return False
        self._bodies.refused += 1
        return True

    async def write(self, context: Any, data: bytes) -> None:  # noqa: ANN401 (gRPC has no types)
        """Write one of a stream's answers."""
        task = self._begin(len(data))
        try:
            await context.write(data)
        finally:
            self._over(task)

    def last(self, size: int) -> None:
        """Look after what the library sends when it has the call back: ``size``, and a status."""
        self._begin(size).add_done_callback(self._over)

    def sweep(self) -> None:
        """End who takes too long: to be called every second."""
        now = self._clock()
        if slow := [
            task for task, (since, _) in self._going.items() if now - since > self._within_s
        ]:
            _forget(slow)

    def _begin(self, size: int) -> _Task:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (each call has its own)
        self._going[task] = (self._clock(), size)
        if size > OWN:
            self._bodies.held += size - OWN
        return task

    def _over(self, task: _Task) -> None:
        _, size = self._going.pop(task)
        self._bodies.give(size)


def _forget(calls: Collection[_Task]) -> None:
    """Let go of calls, so that the library does."""
    ids = {id(task) for task in calls}
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == _KEEPS and ids & _held(task):
            task.cancel()
    for task in calls:
        task.cancel()


def _held(task: _Task) -> set[int]:
    """Return what a task of the library holds, which it shows to the collector only: the ids."""
    return set(map(id, gc.get_referents(*gc.get_referents(task.get_coro()))))


def told(record: logging.LogRecord) -> bool:
    """Tell whether a line of the library's log is worth telling: that a client left is not.

    It says so by an error where it hears of the answer, which was not sent, before the client.
    """
    return not str(record.exc_info and record.exc_info[1]).startswith('Failed "execute_batch"')
