"""What the allocator keeps of what was freed: given back where this process has grown by it.

A burst (of connections, of large requests) leaves a heap that is as large as it was at its
height, where one small block at its end is still in use. So it is looked at now and then. Where
nothing has grown, nothing is done: who asks steadily waits for nobody.
"""

from collections.abc import Callable
from typing import Final

from littoral.resident import resident_bytes
from littoral_serve.running.memory import give_back

_MOST_BYTES: Final = 8 * 1024 * 1024  # of growth that is left alone


class Slack:
    """Knows the least memory that this process had since something was given back."""

    def __init__(
        self,
        *,
        resident: Callable[[], int | None] = resident_bytes,
        give_back: Callable[[], None] = give_back,
    ) -> None:
        self._resident, self._give_back = resident, give_back
        self._least = resident() or 0

    def look(self) -> None:
        """Give back what was freed, if this process has grown. It takes some milliseconds then."""
        found = self._resident()
        if found is None:
            return  # a machine that does not tell is left alone
        if found > self._least + _MOST_BYTES:
            self._give_back()
            self._least = self._resident() or found  # what is in use still, it may have
        else:
            self._least = min(self._least, found)
