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
            self._pass_on(name, halt)

    @contextmanager
    def at_once(self, name: str, halt: Halt) -> Iterator[bool]:
        """Have a turn, if nobody has it: who has another one already must not wait for a second."""
        with self._changed:
            halt.check()
            mine = name not in self._taken or self._taken[name].said
            if mine:
                self._taken[name] = halt
        try:
            yield mine
        finally:
            if mine:
                self._pass_on(name, halt)

    def _pass_on(self, name: str, halt: Halt) -> None:
        with self._changed:
            if self._taken.get(name) is halt:
                del self._taken[name]
            self._changed.notify_all()
