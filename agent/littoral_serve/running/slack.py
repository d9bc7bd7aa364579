"""What the allocator keeps of what was freed: given back where this process has grown by it.

A burst (of connections, of large requests) leaves a heap that is as large as it was at its
height, where one small block at its end is still in use. So it is looked at now and then. Where
nothing has grown, nothing is done: who asks steadily waits for nobody.
"""

import os
from collections.abc import Callable
from typing import Final

from littoral_serve.running.memory import give_back

_MOST_BYTES: Final = 8 * 1024 * 1024  # of growth that is left alone
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Slack:
    """Knows the least memory that this process had since something was given back."""

    def __init__(
        self,
        *,
        resident: Callable[[], int] | None = None,
        give_back: Callable[[], None] = give_back,
    ) -> None:
        self._resident, self._give_back = resident or _resident, give_back
        self._least = self._resident()

    def look(self) -> None:
        """Give back what was freed, if this process has grown. It takes some milliseconds then."""
        found = self._resident()
        if found > self._least + _MOST_BYTES:
            self._give_back()
            self._least = self._resident()  # what is in use still, it may have
        else:
            self._least = min(self._least, found)


def _resident() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 (once a minute, and no more than that)
        return int(file.read().split()[1]) * _PAGE_BYTES
