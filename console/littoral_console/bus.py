"""Tells whoever waits that a device's document is a new one.

Within one process; to be used from its event loop alone.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from littoral_console.loop import AT_ONCE


class Bus:
    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._changed: set[str] = set()  # what the one reader has not taken
        self._any = asyncio.Event()
        self.closed = False  # the console stops: nobody is to wait any longer

    def close(self) -> None:
        """Wake everybody who waits, because the console stops."""
        self.closed = True
        for events in self._waiting.values():
            for event in events:
                event.set()

    def announce(self, devices: Iterable[str]) -> None:
        """Say that these devices' documents are new ones; many are woken little by little."""
        named = tuple(devices)
        self._changed.update(named)
        self._any.set()
        self._wake(named)

    def _wake(self, devices: Sequence[str]) -> None:
        for device in devices[:AT_ONCE]:
            for event in self._waiting.get(device, ()):
                event.set()
        if left := devices[AT_ONCE:]:
            asyncio.get_running_loop().call_soon(self._wake, left)

    async def announced(self) -> str:
        """Return the next device whose document is a new one. For one reader."""
        while not self._changed:
            self._any.clear()
            await self._any.wait()
        return self._changed.pop()

    @contextmanager
    def listening(self, device: str) -> Iterator[asyncio.Event]:
        """Lend what is set when the device's document is a new one. Look once after entering."""
        event = asyncio.Event()
        self._waiting[device].add(event)
        try:
            yield event
        finally:
            self._waiting[device].discard(event)
            if not self._waiting[device]:
                del self._waiting[device]
