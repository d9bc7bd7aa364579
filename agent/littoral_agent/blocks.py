"""Where who wants a file meets the connection to the broker over which its blocks come.

The connection's thread hands in what it heard, and takes what is to be sent: opened, closed, take,
heard. Other threads wait for bytes, by a transfer. Neither waits for the other. What is wanted is
decided by flow.py and spans.py; that a connection ends is UnreachableError at once, and what has
arrived is where the next try goes on.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from littoral.errors import MalformedError, UnreachableError
from littoral.wire.blocks import Ask, Block
from littoral_agent.flow import Flow
from littoral_agent.spans import Asked
from littoral_agent.transfer import Transfer

# What came over the connection: bytes of TCP, and whole messages.
Received = Callable[[], tuple[int, int]]

log = logging.getLogger(__name__)


class Blocks:
    """Threads share it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.flow = clock, Flow()
        self.changed = threading.Condition()
        self.wake: Callable[[], object] = lambda: None  # there is something to send
        self.console = ""  # who answers
        self.connection = 0  # how many there were
        self.came = 0  # bytes of files, ever
        self._seen = 0
        self._number = secrets.randbits(31)  # what still comes to an agent of before is not ours
        self._received: Received | None = None  # None: there is no connection
        self._asks: list[Ask] = []
        self._transfers: dict[int, Transfer] = {}  # by the number of an ask

    @property
    def is_open(self) -> bool:
        return self._received is not None

    def opened(self, received: Received) -> None:
        """Begin anew, over a connection that is up."""
        with self.changed:
            self.flow, self.console, self._seen = Flow(), "", 0
            self._received, self.connection = received, self.connection + 1

    def closed(self) -> None:
        """End everything: the connection has ended."""
        with self.changed:
            self._received = None
            self._asks.clear()
            self._transfers.clear()
            self.changed.notify_all()

    def take(self) -> list[bytes]:
        """Return what is to be sent now."""
        with self.changed:
            asks, self._asks = self._asks, []
            return [ask.encode() for ask in asks]

    def heard(self, body: bytes) -> None:
        """Take a block."""
        try:
            block = Block.decode(body)
        except MalformedError as e:
            log.warning("a block is ignored: %s", e)
            return
        with self.changed:
            transfer = self._transfers.get(block.number)
            if transfer is None or (self.console and block.console != self.console):
                return
            self.console, self._seen = block.console, block.mark
            transfer.hear(block)
            self.changed.notify_all()

    @contextmanager
    def transfer(self, name: str, *, start: int = 0, first: int = 0) -> Iterator[Transfer]:
        """Begin to bring the file ``name`` from byte ``start`` on, by an ask for ``first`` bytes.

        Raises:
            UnreachableError: There is no connection.

        """
        found = Transfer(self, name, start=start, first=first)
        try:
            yield found
        finally:
            with self.changed:
                self._transfers = {n: t for n, t in self._transfers.items() if t is not found}

    @property
    def held(self) -> int:
        """Return how many bytes are under way, or were not taken yet. Under the lock."""
        return sum(one.spans.held for one in set(self._transfers.values()))

    def send(self, transfer: Transfer, start: int, end: int) -> Asked:
        """Ask for bytes. Under the lock."""
        self._number = (self._number + 1) % 2**32
        self._transfers[self._number] = transfer
        ask = Ask(
            number=self._number,
            console=self.console,
            seen=self._seen,
            start=start,
            length=end - start,
            name=transfer.spans.name,
        )
        self._asks.append(ask)
        self.wake()
        return Asked(
            number=ask.number, start=start, end=end, sent_s=self.clock(), sent_at=self.came
        )

    def received(self) -> tuple[int, int]:
        """Return what came over the connection. Under the lock. Raises UnreachableError."""
        if self._received is None:
            raise UnreachableError("the broker cannot be reached, and files come over it")
        return self._received()
