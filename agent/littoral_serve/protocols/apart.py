"""Large bodies that must be read carefully: in a thread, while the loop answers everybody else.

One thread does it, so that no more than one document lies read in memory. Until its answer is
there a request is a Later, as one that waits for its model: its body's bytes stay counted.
"""

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from littoral.errors import BackendError
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.running.refusals import LateError, LeftError, RefusalError

T = TypeVar("T")
Refuse = Callable[[RefusalError | BackendError], Response]

log = logging.getLogger(__name__)


class Apart:
    """Reads the large bodies of one protocol. All of it happens on the loop, but reading."""

    def __init__(self, refuse: Refuse) -> None:
        self._refuse = refuse
        self._thread: ThreadPoolExecutor | None = None  # most clients send none

    def read(
        self,
        request: Request,
        read: Callable[[], T],
        then: Callable[[T], Response | Later],
        *,
        model: str,
        timeout_ns: int,
    ) -> Later:
        """Return the response to come: what ``then``, on the loop, makes of what ``read`` reads."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        later, loop = Later(), asyncio.get_running_loop()

        def due() -> None:
            if later.left:
                raise LeftError
            waited_ns = time.perf_counter_ns() - request.arrived_ns
            if waited_ns > timeout_ns:
                raise LateError(model, waited_ns / 1e9)

        def work() -> None:
            made = _made(due, read)
            loop.call_soon_threadsafe(partial(self._go_on, later, then, made))

        self._thread.submit(work)
        return later

    def _go_on(
        self,
        later: Later,
        then: Callable[[T], Response | Later],
        made: T | RefusalError | BackendError,
    ) -> None:
        answer: Response | Later
        try:
            if isinstance(made, RefusalError | BackendError):
                raise made
            if later.left:
                raise LeftError
            answer = then(made)
        except (RefusalError, BackendError) as e:
            answer = self._refuse(e)
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
        return e
    except Exception as e:  # else nobody would be answered
        log.exception("a body could not be read")
        return BackendError(f"the request could not be read: {e!r}")
    finally:
        if collects:
            gc.enable()
