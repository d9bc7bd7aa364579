"""Whose answers are on their way: one that its client does not read stays here until it does.

So what it holds counts among the bodies, and who takes too long is forgotten. Also then the library
may hold it: where a connection takes nothing, what began to go there is kept until that one ends.
How many hold what is to be sent tells; as long as anybody else does, it counts.
"""

import logging
import sys
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

_Going = tuple[float, bytes]  # since when, and what is sent


class Outlet:
    """Writes answers, and ends who does not read them. All of it happens on the loop."""

    def __init__(
        self, bodies: Bodies, *, within_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bodies, self._clock = bodies, clock
        self._within_s = within_s
        self._going: dict[Task, _Going] = {}  # whose
        self._left: list[_Going] = []  # what was not sent, and may be held yet

    def refuses(self, size: int) -> bool:
        """Tell whether there is no room for one more: one alone may be larger than all there is."""
        if size <= OWN or self._bodies.held < self._bodies.most:
            return False
        self._look()
        if self._bodies.held < self._bodies.most:
            return False
        self._bodies.refused += 1
        return True

    async def write(self, context: Any, data: bytes) -> None:  # noqa: ANN401 (gRPC has no types)
        """Write one of a stream's answers."""
        task = self._begin(data)
        try:
            await context.write(data)
        except BaseException:  # whose frames hold it until the call is over
            task.add_done_callback(self._over)
            raise
        self._give(self._going.pop(task))

    def last(self, data: bytes) -> None:
        """Look after what the library sends when it has the call back: this, and a status."""
        self._begin(data).add_done_callback(self._over)

    def sweep(self) -> None:
        """End who takes too long: to be called every second."""
        now = self._clock()
        if slow := [
            task for task, (since, _) in self._going.items() if now - since > self._within_s
        ]:
            forget(slow)
        self._look()

    def _look(self) -> None:
        left, self._left = self._left, []
        for one in left:
            self._end(one)

    def _begin(self, data: bytes) -> Task:
        task = own_task()
        self._going[task] = (self._clock(), data)
        if len(data) > OWN:
            self._bodies.held += len(data) - OWN
        return task

    def _over(self, task: Task) -> None:
        self._end(self._going.pop(task))

    def _end(self, one: _Going) -> None:
        if len(one[1]) > OWN and _holders(one) > _OURS:
            self._left.append(one)
        else:
            self._give(one)

    def _give(self, one: _Going) -> None:
        self._bodies.give(len(one[1]))


def _holders(one: _Going) -> int:
    return sys.getrefcount(one[1])


_OURS: Final = _holders((0.0, bytes(2)))  # as many as there are where nobody else holds it


def told(record: logging.LogRecord) -> bool:
    """Tell whether a line of the library's log is worth telling: that a client left is not.

    It says so by an error where it hears of the answer, which was not sent, before the client.
    """
    return not str(record.exc_info and record.exc_info[1]).startswith('Failed "execute_batch"')
