"""The room that downloads which go on have still to fill: no other one may count on it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from littoral.bundle.manifest import File
from littoral_agent.halting import Halt


class Room:
    """Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: list[tuple[Halt, Sequence[File]]] = []

    @contextmanager
    def of(
        self, files: Sequence[File], halt: Halt, *, check: Callable[[Sequence[File]], object]
    ) -> Iterator[Callable[[], None]]:
        """Bring ``files``, unless ``check`` says no, which is given what others are bringing.

        What is given back asks it again: for who needs more than there was to fill at first.
        """
        mine = (halt, files)

        def ask() -> None:
            # What is halted brings no more, although it may not have ended.
            others = [one for one in self._going if one is not mine and not one[0].said]
            check([file for _, theirs in others for file in theirs])

        def again() -> None:
            with self._lock:
                ask()

        with self._lock:
            ask()
            self._going.append(mine)
        try:
            yield again
        finally:
            with self._lock:
                self._going.remove(mine)
