"""The console's event loop: of all that is ready it does a little in each turn.

asyncio does the whole of it. Where 500 devices come at once, such a turn takes a second, and as
long nobody else is heard, no timer rings. Here a turn is short however many come; what is left is
done first in the next ones, in the order in which it became ready.
"""

import asyncio
import gc
import selectors
import sys
from collections import deque
from typing import Final

AT_ONCE: Final = 4  # a handshake of TLS takes a millisecond or two
SWITCH_S: Final = 0.0005  # how long a thread that computes lets the loop wait, each time
RARELY: Final = (5_000, 5, 200)  # the collector's generations: a second of 200,000 took 124 ms
BACKLOG: Final = 1024  # how many connections may wait in the kernel to be taken

_Ready = tuple[selectors.SelectorKey, int]


class FewAtOnce(selectors.DefaultSelector):
    """A selector that tells of few at once, and forgets nobody."""

    def __init__(self) -> None:
        super().__init__()
        self._left: deque[_Ready] = deque()

    def select(self, timeout: float | None = None) -> list[_Ready]:
        """Return whoever is ready, but no more than ``AT_ONCE``; wait only if there is nobody."""
        found: list[_Ready] = []
        while self._left and len(found) < AT_ONCE:
            key, events = self._left.popleft()
            # It may have been closed since, and its number may be another one's by now.
            held = self.get_map().get(key.fd)
            if held is not None and held.fileobj is key.fileobj and events & held.events:
                found.append((held, events & held.events))
        if found:
            return found
        self._left.extend(super().select(timeout))
        return [self._left.popleft() for _ in range(min(AT_ONCE, len(self._left)))]


def settle() -> None:
    """Look for garbage no more among what lives as long as the process: that alone took 110 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)


class Turns:
    """Lets few go on in each turn of the loop, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def mine(self) -> None:
        """Return when it is one's turn: never in this one."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        if len(self._waiting) == 1:
            loop.call_soon(self._next, loop)
        await future

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(AT_ONCE, len(self._waiting))):
            future = self._waiting.popleft()
            if not future.done():  # nobody waits for it any more
                future.set_result(None)
        if self._waiting:
            loop.call_soon(self._next, loop)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of a process that has threads at work: it gets the interpreter soon."""
    sys.setswitchinterval(SWITCH_S)
    return asyncio.SelectorEventLoop(FewAtOnce())
