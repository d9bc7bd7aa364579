"""Large bodies that must be read carefully: in a thread, while the loop answers everybody else.

One thread does it, whoever asks, so that no more than one document lies read in memory. Until its
answer is there a request is a Later, as one that waits for its model: its body's bytes stay
counted. Who ends waits for that answer as for any other, and never for the thread.
"""

import asyncio
import contextlib
import gc
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from littoral.errors import BackendError
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import LateError, LeftError, RefusalError

T = TypeVar("T")
Refuse = Callable[[RefusalError | BackendError], Response]

log = logging.getLogger(__name__)


class Apart:
    """Reads large bodies, in the order in which they came. All but reading happens on the loop."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] | None = None  # most clients send none

    def read(
        self,
        request: Request,
        live: Live,
        read: Callable[[], T],
        then: Callable[[T], Response | Later],
        *,
        refuse: Refuse,
        timeout_ns: int,
    ) -> Later:
        """Return the response to come: what ``then``, on the loop, makes of what ``read`` reads."""
        later, loop = Later(), asyncio.get_running_loop()

        def due() -> None:
            if later.left:
                raise LeftError
            waited_ns = time.perf_counter_ns() - request.arrived_ns
            if waited_ns > timeout_ns:
                raise LateError(live.model, waited_ns / 1e9)

        def work() -> None:
            made = _made(due, read)
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(go_on, made)

        def refused(error: RefusalError | BackendError) -> Response:
            live.lane.late += isinstance(error, LateError)
            return refuse(error)

        def go_on(made: T | RefusalError | BackendError) -> None:
            answer: Response | Later
            try:
                # Not raised again: with this frame it would be in a circle, and the request too.
                if isinstance(made, RefusalError | BackendError):
                    answer = refused(made)
                else:
                    due()
                    answer = then(made)
            except (RefusalError, BackendError) as e:
                answer = refused(e)
            except Exception as e:  # else nobody would be answered
                log.exception("a body that was read could not be asked")
                answer = refuse(BackendError(f"the request could not be asked: {e!r}"))
            _give(later, answer)

        self._do(work)
        return later

    def _do(self, job: Callable[[], None]) -> None:
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._jobs,), name="reader", daemon=True).start()
        self._jobs.put(job)


def _work(jobs: "queue.SimpleQueue[Callable[[], None]]") -> None:
    while True:
        jobs.get()()


def _give(later: Later, answer: Response | Later) -> None:
    if isinstance(answer, Response):
        later.give(answer)
    elif answer.response is not None:
        later.give(answer.response)
    else:
        later.on_left = answer.cancel
        answer.then(later.give)


def _made(due: Callable[[], None], read: Callable[[], T]) -> T | RefusalError | BackendError:
    collects = gc.isenabled()
    gc.disable()  # it would look at millions of new lists again and again, and find nothing
    try:
        due()
        return read()
    except RefusalError as e:
        # The frames that it comes from hold the document, and it them: until the collector comes.
        e.__cause__ = e.__context__ = None
        return e.with_traceback(None)
    except Exception as e:  # else nobody would be answered
        log.exception("a body could not be read")
        return BackendError(f"the request could not be read: {e!r}")
    finally:
        if collects:
            gc.enable()
