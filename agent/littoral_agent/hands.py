"""Does what takes long in threads of its own, and tells how it ended in the thread that asked.

What is done, and what follows from it, is known to who begins it.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from littoral.errors import LittoralError
from littoral_agent.halting import Halt, HaltedError

T = TypeVar("T")
Start = Callable[[str, Callable[[], None]], None]


def in_thread(name: str, work: Callable[[], None]) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


def at_once(_: str, work: Callable[[], None]) -> None:
    """Do it in the caller's thread: for what takes no time, and for who wants no threads."""
    work()


class Hands:
    """Begun and settled by one thread. ``woken`` is called from others, when something ended."""

    def __init__(self, *, start: Start = in_thread) -> None:
        self._start = start
        self._ended: deque[Callable[[], None]] = deque()
        self._wanted: set[Halt] = set()
        self.woken: Callable[[], None] = lambda: None

    def begin(
        self,
        name: str,
        job: Callable[[Halt], T],
        then: Callable[[Halt, T | LittoralError | None], None],
        *,
        start: Start | None = None,
    ) -> Halt:
        """Begin ``job``, for which the Halt is meant; ``settle`` calls ``then`` with its end."""
        halt = Halt()
        self._wanted.add(halt)

        def work() -> None:
            try:
                ended = partial(then, halt, job(halt))
            except HaltedError:
                ended = partial(then, halt, None)
            except LittoralError as e:
                ended = partial(then, halt, e)
            except Exception as e:  # noqa: BLE001 (a defect is who began it's, not this thread's)
                ended = partial(_raise, e)
            self._ended.append(partial(self._end, halt, ended))
            self.woken()

        (start or self._start)(name, work)
        return halt

    def settle(self) -> bool:
        """Take what ended; return whether anything did."""
        any_ended = bool(self._ended)
        while self._ended:
            self._ended.popleft()()
        return any_ended

    def halt(self) -> None:
        """Say of all that is being done that it is no longer wanted."""
        for one in self._wanted:
            one.say()

    def _end(self, halt: Halt, then: Callable[[], None]) -> None:
        self._wanted.discard(halt)
        then()


def _raise(error: Exception) -> None:
    raise error
