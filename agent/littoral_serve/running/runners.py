"""What runs a session: the event loop itself, or a thread of its own. Knows no queue.

A fast model is run on the loop: handing it to a thread and back would take longer than it does,
and nobody waits for it for long. A slow one would keep everything else waiting.
"""

import asyncio
import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol

from littoral.errors import BackendError
from littoral.model.backends import Array, Session

Outputs = tuple[Array, ...]
Done = Callable[[Outputs | BackendError, int], None]  # and how many ns it took

SLOW_NS: Final = 2_000_000  # from here on a hand-over and back is under a twentieth


log = logging.getLogger(__name__)


class Runner(Protocol):
    """Runs so many batches at a time; a lane sees to that."""

    @property
    def at_once(self) -> bool:
        """Whether run() ends with the answer: nothing else can happen meanwhile."""
        ...

    @property
    def width(self) -> int:
        """How many batches may be under way; it may change."""
        ...

    def run(self, inputs: Outputs, done: Done) -> None:
        """Run stored ``inputs``; call ``done`` on the loop, once."""
        ...

    async def weigh(self, inputs: Outputs) -> tuple[Outputs, int]:
        """Return the outputs, and the ns of processor time that they took. Raises BackendError."""
        ...


def runner(session: Session, *, fastest_ns: int) -> "Runner":
    """Return what should run ``session``, whose fastest run took so long."""
    return InThread(session) if fastest_ns > SLOW_NS else OnLoop(session)


class OnLoop:
    """Runs at once, on the loop."""

    at_once = True
    width = 1

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, inputs: Outputs, done: Done) -> None:
        start = time.perf_counter_ns()
        made = _made(self._session, inputs)
        done(made, time.perf_counter_ns() - start)

    async def weigh(self, inputs: Outputs) -> tuple[Outputs, int]:
        await asyncio.sleep(0)
        start = time.thread_time_ns()
        made = self._session.run(*inputs)
        return made, time.thread_time_ns() - start


class InThread:
    """Runs in a thread of its own, which ends with this."""

    at_once = False
    width = 1

    def __init__(self, session: Session) -> None:
        self._jobs: queue.SimpleQueue[Callable[[Session], None] | None] = queue.SimpleQueue()
        threading.Thread(
            target=_work, args=(session, self._jobs), name="model", daemon=True
        ).start()
        weakref.finalize(self, self._jobs.put, None)

    def run(self, inputs: Outputs, done: Done) -> None:
        loop = asyncio.get_running_loop()

        def job(session: Session) -> None:
            start = time.perf_counter_ns()
            made = _made(session, inputs)
            took = time.perf_counter_ns() - start
            loop.call_soon_threadsafe(done, made, took)

        self._jobs.put(job)

    async def weigh(self, inputs: Outputs) -> tuple[Outputs, int]:
        loop = asyncio.get_running_loop()
        weighed: asyncio.Future[tuple[Outputs, int]] = loop.create_future()

        def job(session: Session) -> None:
            start = time.thread_time_ns()
            made = _made(session, inputs)
            loop.call_soon_threadsafe(settle, weighed, made, time.thread_time_ns() - start)

        self._jobs.put(job)
        return await weighed


def settle(
    weighed: "asyncio.Future[tuple[Outputs, int]]", made: Outputs | BackendError, took_ns: int
) -> None:
    """Give who weighs a release what came of it, unless they left."""
    if weighed.done():
        return
    if isinstance(made, BackendError):
        weighed.set_exception(made)
    else:
        weighed.set_result((made, took_ns))


def _made(session: Session, inputs: Outputs) -> Outputs | BackendError:
    """Return what ``session`` makes of ``inputs``; whatever goes wrong there ends one request."""
    try:
        return session.run(*inputs)
    except BackendError as e:
        return e
    except Exception as e:
        log.exception("a model failed in no way that is known")
        return BackendError(f"the model failed: {e!r}")


def _work(session: Session, jobs: "queue.SimpleQueue[Callable[[Session], None] | None]") -> None:
    while (job := jobs.get()) is not None:
        job(session)
        del job  # it holds the lane, and so the runner, whose end this thread waits for
