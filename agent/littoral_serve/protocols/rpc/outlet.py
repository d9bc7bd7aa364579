"""Whose answers are on their way: one that its client does not read stays here until it does.

So what it holds counts among the bodies, and who takes too long is forgotten.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import grpc

from littoral_serve.http.bodies import OWN, Bodies
from littoral_serve.protocols.rpc.ending import Task, forget, own_task

UNREAD: Final = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "too many large answers are not read yet; try again later",
)


class Outlet:
    """Writes answers, and ends who does not read them. All of it happens on the loop."""

    def __init__(
        self, bodies: Bodies, *, within_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bodies, self._clock = bodies, clock
        self._within_s = within_s
        self._going: dict[Task, tuple[float, int]] = {}  # whose, since when and how much

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
            forget(slow)

    def _begin(self, size: int) -> Task:
        task = own_task()
        self._going[task] = (self._clock(), size)
        if size > OWN:
            self._bodies.held += size - OWN
        return task

    def _over(self, task: Task) -> None:
        _, size = self._going.pop(task)
        self._bodies.give(size)


def told(record: logging.LogRecord) -> bool:
    """Tell whether a line of the library's log is worth telling: that a client left is not.

    It says so by an error where it hears of the answer, which was not sent, before the client.
    """
    return not str(record.exc_info and record.exc_info[1]).startswith('Failed "execute_batch"')
