"""Requests that wait for a TPU, and what becomes of them. Knows no TPU."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from littoral.errors import BackendError, BackendMissingError
from littoral_serve.running.runners import Outputs
from littoral_serve.tpu import messages
from littoral_serve.tpu.model import Model
from littoral_serve.tpu.orders import Answer, Order
from littoral_serve.tpu.sheet import Sheet

Then = Callable[[Outputs | BackendError, int, int], None]  # ns in all, and ns of the runtime


class LostError(BackendMissingError):
    """The TPU was lost with the request on it, perhaps by its doing."""


@dataclass(slots=True, eq=False)
class Job:
    """One batch for ``model``; ``then`` is told once."""

    model: Model
    inputs: Outputs
    then: Then
    timer: asyncio.TimerHandle | None = None
    start_ns: int = 0

    def order(self, sheet: Sheet, *, limit_s: float) -> Order:
        """Return what the child is to do for it, whose inputs are on ``sheet`` then."""
        sheet.fill(self.inputs)
        self.start_ns = time.perf_counter_ns()
        run = messages.Run(number=self.model.number)
        return Order(say=run, limit_s=limit_s, then=lambda answer: self._ran(sheet, answer))

    def fail(self, why: str) -> None:
        self.then(BackendMissingError(f"{self.model.what}: {why}"), 0, 0)

    def _ran(self, sheet: Sheet, answer: Answer) -> None:
        took = time.perf_counter_ns() - self.start_ns
        match answer:
            case messages.Ran(ns=ns):
                self.then(sheet.made(), took, ns)
            case messages.Failed(error=error):
                self.then(BackendError(error), took, 0)
            case _:
                lost = f"{self.model.what}: the Edge TPU was lost meanwhile"
                self.then(LostError(lost), took, 0)


class Jobs:
    """The queue before the pool: a lane's batches, of which each waits ``wait_s`` at most."""

    def __init__(self, *, wait_s: float) -> None:
        self._wait_s = wait_s
        self._jobs: deque[Job] = deque()

    def add(self, job: Job) -> None:
        job.timer = asyncio.get_running_loop().call_later(self._wait_s, self._late, job)
        self._jobs.append(job)

    def next(self, numbers: Collection[int]) -> Job | None:
        """Return the first one for a model of these numbers; it waits no longer."""
        found = next((job for job in self._jobs if job.model.number in numbers), None)
        if found is not None:
            self._leave(found)
        return found

    def give_up(self, hopeless: Callable[[Model], bool]) -> list[Job]:
        """Return those whose model is ``hopeless``; they wait no longer."""
        found = [job for job in self._jobs if hopeless(job.model)]
        for job in found:
            self._leave(job)
        return found

    def _leave(self, job: Job) -> None:
        self._jobs.remove(job)
        if job.timer is not None:
            job.timer.cancel()

    def _late(self, job: Job) -> None:
        self._jobs.remove(job)
        job.fail(f"no Edge TPU was free for {self._wait_s:g} s")
