"""Telling whoever does something, from another thread, that it is no longer wanted.

What blocks is ended by whatever ends it (a socket is shut down); what may not be done any more
once that was said is done between ``going`` and its end.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class HaltedError(Exception):
    """It is no longer wanted; what has arrived stays."""


class Halt:
    """Whether one thing that is being done is still wanted. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[Callable[[], object]] = []
        self.said = False

    def say(self) -> None:
        """Say that it is not. When this returns, nothing of it is ``going`` or will be."""
        with self._lock:
            self.said = True
            while self._ends:
                self._ends.pop()()

    def check(self) -> None:
        """Raise HaltedError if it was said."""
        if self.said:
            raise HaltedError

    def wait(self, seconds: float) -> None:
        """Return after so long. Raises HaltedError as soon as it is said."""
        over = threading.Event()
        with self.ended_by(over.set):
            over.wait(seconds)
        self.check()

    @contextmanager
    def going(self) -> Iterator[None]:
        """Do something that must not be done afterwards. Raises HaltedError if it was said."""
        with self._lock:
            self.check()
            yield

    @contextmanager
    def ended_by(self, end: Callable[[], object]) -> Iterator[None]:
        """Wait for something that ``end`` ends; it is called at most once, and not afterwards."""
        with self.going():
            self._ends.append(end)
        try:
            yield
        finally:
            with self._lock:
                if end in self._ends:
                    self._ends.remove(end)
