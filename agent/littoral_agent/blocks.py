"""Where who wants a file meets the connection to the broker over which its blocks come.

The connection's thread hands in what it heard, and takes what is to be sent; other threads wait
for bytes. Neither waits for the other. What is wanted is decided by flow.py and spans.py; that a
connection ends is UnreachableError at once, and what has arrived is where the next try goes on.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from littoral.errors import (
    ForgottenError,
    HashError,
    LittoralError,
    MalformedError,
    SlowError,
    UnreachableError,
)
from littoral.wire.blocks import Answer, Ask, Block
from littoral_agent.flow import Flow
from littoral_agent.spans import Asked, Spans

SILENCE_S: Final = 30.0  # without a block: nobody answers, or far too slowly
_SILENCES: Final = 2  # after so many another console may answer
_TRICKLE: Final = 25  # bytes: a broker's sign of life has less

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

    # -- the connection's side

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

    # -- the side of who wants a file

    @contextmanager
    def transfer(self, name: str, *, start: int = 0, first: int = 0) -> Iterator["Transfer"]:
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

    def send(self, transfer: "Transfer", start: int, end: int) -> Asked:
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


class Transfer:
    """One file on its way: its bytes in their order, as far as somebody takes them."""

    def __init__(self, blocks: Blocks, name: str, *, start: int, first: int) -> None:
        self.spans = Spans(name, start)
        self._blocks, self._start, self._first = blocks, start, first
        self._error: LittoralError | None = None
        self._ended = False
        self._silences = 0
        self._since_s = self._moved_s = blocks.clock()  # since when one waits; for anything at all
        with blocks.changed:
            self._connection, self._received = blocks.connection, blocks.received()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        """Wait for the next bytes.

        Raises:
            ForgottenError: The repository does not hold the file.
            HashError: It ends before byte ``start``.
            SlowError: The line carries hardly anything.
            UnreachableError: The broker, or the console behind it, does not answer.

        """
        with self._blocks.changed:
            while not self._ended:
                if self._error is not None:
                    raise self._error
                chunk = self.spans.take()
                self._top_up()
                if chunk is not None:
                    return chunk
                if self.spans.done:
                    break
                self._wait()
        raise StopIteration

    def end(self) -> None:
        """From another thread: no more bytes come."""
        with self._blocks.changed:
            self._ended = True
            self._blocks.changed.notify_all()

    def hear(self, block: Block) -> None:
        """Take a block of this file. Under the lock."""
        try:
            _check(self.spans.name, self._start, block)
            asked = self.spans.came(block)
        except LittoralError as e:
            self._error = e
            return
        if asked is None:
            return
        now, flow = self._blocks.clock(), self._blocks.flow
        self._blocks.came += len(block.data)
        self._begin_to_wait(now)
        self._silences = 0
        if asked.alone:
            flow.answered(now - asked.sent_s)
            asked.alone = False
        if block.data and asked.start >= asked.end:
            flow.came(self._blocks.came - asked.sent_at, now - asked.sent_s)
        self._top_up()

    def _top_up(self) -> None:
        """Ask for as much more as may be under way."""
        blocks, spans = self._blocks, self.spans
        if not blocks.console:
            if not spans.under_way:
                self._ask(self._start, self._start)  # for nothing: who is there?
            return
        while spans.known or not spans.under_way:
            flow = blocks.flow
            most = max(flow.span, self._first)
            held = blocks.held + most if spans.under_way else spans.held
            if held > flow.window and not spans.stuck:
                return
            piece = spans.next(most)
            if piece is None:
                return
            self._ask(*piece)

    def _ask(self, start: int, end: int) -> None:
        if not self.spans.under_way:
            self._begin_to_wait(self._blocks.clock())
        self.spans.sent(self._blocks.send(self, start, end))

    def _begin_to_wait(self, now: float) -> None:
        self._since_s = self._moved_s = now
        if self._blocks.is_open:
            self._received = self._blocks.received()

    def _wait(self) -> None:
        """Wait for a block, not for ever."""
        came, messages = self._blocks.received()
        if self._blocks.connection != self._connection:
            raise UnreachableError("the connection to the broker was cut, and is another one now")
        now, moved_s = self._blocks.clock(), self._moved_s
        if now - moved_s >= SILENCE_S:
            raise self._silence(came - self._received[0], messages - self._received[1])
        due_s = self._since_s + self._blocks.flow.patience_s
        if now >= due_s:
            received = self._received
            self._repeat()
            self._since_s, self._moved_s, self._received = now, moved_s, received
            due_s = now + self._blocks.flow.patience_s
        self._blocks.changed.wait(max(0.0, min(due_s, moved_s + SILENCE_S) - now))

    def _repeat(self) -> None:
        """Ask again for what was asked for first; in the end whoever may answer."""
        self._silences += 1
        self._blocks.flow.silent()
        if self._silences >= _SILENCES:
            self._blocks.console = ""
            self.spans.lose_all()
            self._top_up()
            return
        asked = self.spans.oldest()
        if asked is not None:
            before, sent = asked.number, self._blocks.send(self, asked.start, asked.end)
            asked.number, asked.sent_s, asked.sent_at = sent.number, sent.sent_s, sent.sent_at
            self.spans.sent_again(asked, before=before)

    def _silence(self, came: int, messages: int) -> LittoralError:
        name = self.spans.name
        if came > _TRICKLE and messages == 0:
            return SlowError(f"{name}: {came / SILENCE_S:.0f} bytes a second over the broker")
        return UnreachableError(f"{name}: no console answers over the broker")


def _check(name: str, start: int, block: Block) -> None:
    """Raise what it means that a block brings no bytes."""
    match block.answer:
        case Answer.BYTES:
            return
        case Answer.FORGOTTEN:
            raise ForgottenError(f"{name}: the repository does not hold what is named")
        case Answer.SHORT:
            raise HashError(name, signed=f"more than {start}", found="less", kind="length")
        case Answer.AWAY:
            raise UnreachableError(f"{name}: the console cannot read it just now")
