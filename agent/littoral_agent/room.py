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
    ) -> Iterator[None]:
        """Bring ``files``, unless ``check`` says no, which is given what others are bringing."""
        mine = (halt, files)
        with self._lock:
            # What is halted brings no more, although it may not have ended.
            check([file for other, theirs in self._going if not other.said for file in theirs])
            self._going.append(mine)
        try:
            yield
        finally:
            with self._lock:
                self._going.remove(mine)
