"""How fast files may come: no faster than ``max_rate_bytes_per_s``, whoever brings them.

It says for how long to wait, and waits for nobody.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

DEPTH_S: Final = 1.0  # of the bucket: what comes after a silence may come at once


class Rate:
    """A bucket of tokens, all downloads together. Threads may share it."""

    def __init__(self, bytes_per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = bytes_per_s, clock
        self._lock = threading.Lock()
        self._full_s = clock()  # when the bucket is full again, if nothing more comes

    @property
    def bytes_per_s(self) -> float:
        return self._rate

    def took(self, count: int) -> float:
        """Take note of ``count`` bytes; return for how many seconds no more should be read."""
        with self._lock:
            now = self._clock()
            self._full_s = max(self._full_s, now) + count / self._rate
            return max(0.0, self._full_s - now - DEPTH_S)
