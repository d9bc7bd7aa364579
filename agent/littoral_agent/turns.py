"""Lets one thread at a time do what bears a name, and forgets whoever was halted at it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from littoral_agent.halting import Halt

_LOOK_S: Final = 0.1  # whoever waits may be halted meanwhile, and so may whoever it waits for


class Turns:
    """Threads share it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken: dict[str, Halt] = {}

    @contextmanager
    def of(self, name: str, halt: Halt) -> Iterator[None]:
        """Wait for a turn at ``name``, and have it. Raises HaltedError."""
        with self._changed:
            while name in self._taken and not self._taken[name].said:
                halt.check()
                self._changed.wait(_LOOK_S)
            halt.check()
            self._taken[name] = halt
        try:
            yield
        finally:
            with self._changed:
                if self._taken.get(name) is halt:
                    del self._taken[name]
                self._changed.notify_all()
