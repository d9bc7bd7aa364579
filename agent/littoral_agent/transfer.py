"""One file on its way over the broker: asked for, waited for, and handed out in order.

What to ask for is decided by flow.py and spans.py; here is when, and when to give up. All that is
not waited for is done under the lock of the blocks it belongs to.
"""

from typing import TYPE_CHECKING, Final, Self

from littoral.errors import (
    ForgottenError,
    HashError,
    LittoralError,
    SlowError,
    UnreachableError,
)
from littoral.wire.blocks import Answer, Block
from littoral_agent.spans import Spans

if TYPE_CHECKING:
    from littoral_agent.blocks import Blocks

SILENCE_S: Final = 30.0  # without a block: nobody answers, or far too slowly
_SILENCES: Final = 2  # after so many another console may answer
_TRICKLE: Final = 25  # bytes: a broker's sign of life has less


class Transfer:
    """One file on its way: its bytes in their order, as far as somebody takes them."""

    def __init__(self, blocks: "Blocks", name: str, *, start: int, first: int) -> None:
        self.spans = Spans(name, start)
        self._blocks, self._start, self._first = blocks, start, first
        self._error: LittoralError | None = None
        self._ended = False
        self._silences = 0
        self._since_s = self._moved_s = blocks.clock()  # since when one waits; for anything at all
        self._later: int | None = None  # bytes that had come when half of a silence was over
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
            full = blocks.held + most > flow.window
            if full and spans.held and not spans.stuck:
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
        self._later = None
        if self._blocks.is_open:
            self._received = self._blocks.received()

    def _wait(self) -> None:
        """Wait for a block, not for ever."""
        came, messages = self._blocks.received()
        if self._blocks.connection != self._connection:
            raise UnreachableError("the connection to the broker was cut, and is another one now")
        now, moved_s = self._blocks.clock(), self._moved_s
        half_s = moved_s + SILENCE_S / 2
        if self._later is None and now >= half_s:
            self._later = came
        if now - moved_s >= SILENCE_S:
            raise self._silence(came, messages - self._received[1])
        due_s = self._since_s + self._blocks.flow.patience_s
        if now >= due_s:
            received, later = self._received, self._later
            self._repeat()
            self._since_s, self._moved_s = now, moved_s
            self._received, self._later = received, later
            due_s = now + self._blocks.flow.patience_s
        ends_s = half_s if self._later is None else moved_s + SILENCE_S
        self._blocks.changed.wait(max(0.0, min(due_s, ends_s) - now))

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
        """Return what it means; a line that goes dead in a block gave a part of it before."""
        name, drips = self.spans.name, self._later is not None and came > self._later
        came -= self._received[0]
        if drips and came > _TRICKLE and messages == 0:
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
