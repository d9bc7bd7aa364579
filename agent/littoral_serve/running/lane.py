"""The queue before one release: bounded, with deadlines, and filling batches where it can.

What waits is run in turns, a batch of each, so that a request of a thousand pictures does not
keep the others waiting. What is run on the loop is run at once where nobody waits: the queue
before a fast model is then the kernel's, and no longer than there are connections.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from littoral.errors import BackendError
from littoral_serve.running.inference import Inference
from littoral_serve.running.refusals import LateError, LeftError, OverloadedError
from littoral_serve.running.runners import Outputs, Runner

_TURN_S: Final = 0.005  # of work on the loop, before anything else gets its turn
_ALL: Final = 2**30  # more batches than anything runs at a time
_Parts = list[tuple[Inference, int]]  # whose rows are in a batch, and how many


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait before one release."""

    requests: int = 64
    bytes: int = 64 * 1024 * 1024


class Lane:
    """One release's requests, on their way to its runner. All of it happens on the loop."""

    def __init__(self, runner: Runner, *, model: str, size: int | None, bounds: Bounds) -> None:
        """``size`` is the model's batch, None where its tensors share no such dimension."""
        self.runner = runner
        self._model, self._size, self._bounds = model, size, bounds
        self._waiting: deque[Inference] = deque()
        self._bytes = 0
        self._under = 0  # batches that are being run
        self._scheduled = False
        self._held: asyncio.Event | None = None
        self.overloaded = self.late = 0  # requests that were refused so

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, one: Inference) -> None:
        """Take ``one`` in; its ``then`` is called when it was run, perhaps before this returns.

        Raises:
            OverloadedError: Too much waits already.

        """
        whole = one.rows == (self._size or 1)
        if whole and self.runner.at_once and not self._under and not self._waiting:
            self._under = 1
            self.runner.run(one.whole(), partial(self._ran_whole, one))
            return
        size = one.nbytes
        if len(self._waiting) >= self._bounds.requests or (
            self._waiting and self._bytes + size > self._bounds.bytes
        ):
            self.overloaded += 1
            raise OverloadedError(self._model, len(self._waiting))
        self._waiting.append(one)
        self._bytes += size
        self._wake()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[Runner]:
        """Give the runner to who must be its only user; requests wait meanwhile."""
        while self._under:
            self._held = self._held or asyncio.Event()
            await self._held.wait()
        self._under = _ALL
        try:
            yield self.runner
        finally:
            self._under = 1
            self._free()

    @property
    def _full(self) -> bool:
        return self._under >= self.runner.width or self._held is not None

    def _wake(self) -> None:
        if not self._scheduled and not self._full:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        end = time.perf_counter() + _TURN_S
        while self._waiting and not self._full:
            parts = self._next()
            if parts:
                self._run(parts)
            if time.perf_counter() > end:
                break
        if self._waiting:
            self._wake()

    def _next(self) -> list[Inference]:
        """Return whose rows the next batch has room for; what came too late is told so."""
        found: list[Inference] = []
        room = self._size or 1
        while self._waiting and room > 0:
            one = self._waiting.popleft()
            self._bytes -= one.nbytes
            if self._gone(one):
                continue
            found.append(one)
            room -= one.rows - one.taken
            if self._size is None:
                break
        return found

    def _gone(self, one: Inference) -> bool:
        if one.left:
            one.fail(LeftError())
        elif one.deadline_ns is not None and time.perf_counter_ns() > one.deadline_ns:
            self.late += 1
            one.fail(LateError(self._model, one.waited_s()))
        else:
            return False
        one.then(one)
        return True

    def _run(self, ones: list[Inference]) -> None:
        self._under += 1
        room = self._size
        parts: _Parts = []
        pieces: list[Outputs] = []
        for one in ones:
            inputs, rows = one.take(room)
            parts.append((one, rows))
            pieces.append(inputs)
            room = None if room is None else room - rows
        inputs = pieces[0] if len(pieces) == 1 and not room else _filled(pieces, room or 0)
        self.runner.run(inputs, partial(self._ran, parts))

    def _ran_whole(self, one: Inference, made: Outputs | BackendError, took_ns: int) -> None:
        """Give what was run alone, and at once: what most requests are, in the fewest steps."""
        try:
            if isinstance(made, BackendError):
                one.live.meter.failed()
                one.fail(made)
                one.then(one)
            else:
                one.ran(made)
                one.then(one)
                one.live.meter.invoked(took_ns)
        finally:
            self._free()

    def _ran(self, parts: _Parts, made: Outputs | BackendError, took_ns: int) -> None:
        try:
            if not isinstance(made, BackendError):
                parts[0][0].live.meter.invoked(took_ns)
            start = 0
            for one, rows in parts:
                self._give(one, made, start=start, rows=rows)
                start += rows
        finally:
            self._free()

    def _give(self, one: Inference, made: Outputs | BackendError, *, start: int, rows: int) -> None:
        if isinstance(made, BackendError):
            one.live.meter.failed()
            one.fail(made)
        elif self._size is None or rows == self._size:
            one.ran(made)
        else:
            one.ran(tuple(output[start : start + rows] for output in made))
        if one.done:
            one.then(one)
        else:
            self._waiting.append(one)
            self._bytes += one.nbytes

    def _free(self) -> None:
        self._under -= 1
        if self._held is not None and not self._under:
            self._held.set()
            self._held = None
        if self._waiting:
            self._wake()


def _filled(pieces: list[Outputs], room: int) -> Outputs:
    """Return the pieces as one batch; rows that nobody asked for are zeros."""
    columns = [list(column) for column in zip(*pieces, strict=True)]
    if room:
        for column in columns:
            column.append(np.zeros((room, *column[0].shape[1:]), column[0].dtype))
    return tuple(np.concatenate(column) for column in columns)
