"""Wakes the one thread that waits at sockets: others ring, and it finds that in its poll."""

import contextlib
import select
import socket
import time
from collections.abc import Callable


class Bell:
    """Rung by any thread, any number of times; heard by one."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._here.settimeout(0)
        self._there.settimeout(0)

    def fileno(self) -> int:
        """Return what a poll finds readable once it was rung."""
        return self._here.fileno()

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._there.send(b"!")

    def hush(self) -> None:
        """Forget how often it was rung."""
        with contextlib.suppress(BlockingIOError):
            while self._here.recv(4096):
                pass

    def nap(self, seconds: float, *, until: Callable[[], bool]) -> None:
        """Wait so long, and no longer than ``until`` says yes, which is asked when it is rung."""
        poller = select.poll()
        poller.register(self, select.POLLIN)
        until_s = time.monotonic() + seconds
        while not until() and (left_s := until_s - time.monotonic()) > 0:
            if poller.poll(left_s * 1000):
                self.hush()

    def close(self) -> None:
        self._here.close()
        self._there.close()
