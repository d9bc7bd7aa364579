"""The one interface by which the agent speaks with its console, and what every channel is given.

Two implementations: mqtt.py and https.py. ``Auto`` prefers the broker and goes over HTTPS while
it cannot be reached. Two channels at once do no harm: messages carry keys, documents versions.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from littoral.errors import DeniedError, LittoralError, MalformedError, StorageError
from littoral.wire.messages import Acks, Status
from littoral_agent.spool import Message, Spool

if TYPE_CHECKING:
    from littoral_agent.blocks import Blocks
    from littoral_agent.renewer import Renewer

RESEND_S: Final = 10.0  # without an acknowledgement what was sent is sent again, …
RESEND_MOST_S: Final = 900.0  # … with pauses that grow: a console may be away for days
SETTLE_S: Final = 1.0  # what was sent so short a time ago may still be on its way
MOST_FLYING: Final = 64  # messages that wait for one
FARTHER_S: Final = 15.0  # how often it is told at most that what is fetched came a tenth farther
_TENTHS: Final = 10

log = logging.getLogger(__name__)


class Channel(Protocol):
    """A way to the console, with threads of its own."""

    @property
    def name(self) -> str:
        """Return ``mqtt`` or ``https``."""

    @property
    def up(self) -> bool:
        """Whether the console's side answers."""

    @property
    def trouble(self) -> LittoralError | None:
        """Return what last went wrong, while nobody answers."""

    @property
    def denial(self) -> DeniedError | None:
        """Why the console's side hears this device no more, None while it does or is away."""

    def anew(self) -> None:
        """Connect again, by the pair that counts now. Any thread."""

    def start(self) -> None:
        """Begin; returns at once, whether or not anybody can be reached."""

    def stop(self) -> None:
        """Say goodbye and end; for good."""

    def wake(self) -> None:
        """There may be something to send. Any thread."""

    def tick(self) -> None:
        """Take note that a second or so has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """What a channel connects: the agent's side of it. Every function may come from any thread."""

    device: str
    incarnation: int
    spool: Spool
    status: Callable[[], Status]
    heard: Callable[[bytes], None]  # a document of the director
    version: Callable[[], int]  # of the one that is believed
    listening: Callable[[], None]  # somebody acknowledges what is sent
    unheard: Callable[[LittoralError], None]  # a document came in a way that nobody can take
    status_every_s: float
    keepalive_s: float
    poll_every_s: float
    retry_first_s: float
    retry_most_s: float
    denied_retry_s: float = 60.0
    renewer: "Renewer | None" = None  # None: this key is for ever
    moved: Callable[[str], None] | None = None  # where the console says that its broker is
    blocks: "Blocks | None" = None  # of files, over a broker; None: they come in other ways


class Outbox:
    """What is to go up over one connection, in order, each once until it must go again."""

    def __init__(
        self,
        ends: Ends,
        *,
        resend_s: float = RESEND_S,
        most: int = MOST_FLYING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ends, self._most, self._clock = ends, most, clock
        self._window = most  # how many may fly: one, while nobody answers
        self._first_resend_s = self._resend_s = resend_s
        self._sent: dict[str, int] = {}
        self._flying: set[tuple[str, int]] = set()
        self._acked: dict[str, int] = {}
        self._moved_s = clock()
        self._status: Status | None = None
        self._status_s = 0.0

    def rewind(self) -> None:
        """Begin anew: nothing that was sent is known to have arrived."""
        self._ground()
        self._window, self._resend_s = self._most, self._first_resend_s
        self._status = None

    def _ground(self) -> None:
        self._sent.clear()
        self._flying.clear()

    def status(self) -> Status | None:
        """Return the status if it is to be sent: it changed, or was not said for a while."""
        now, found = self._clock(), self._ends.status()
        said = self._status
        if said is not None and now - self._status_s < self._ends.status_every_s:
            steady = _steady(found) == _steady(said)
            if steady and not self._dropped(found) and not self._farther(found, said):
                return None
        self._status, self._status_s = found, now
        return found

    def _dropped(self, found: Status) -> bool:
        """Whether messages left the spool that nobody acknowledged: the console waits for them."""
        said = self._status.spool if self._status else {}
        return any(
            lowest > max(self._acked.get(stream, 0) + 1, said.get(stream, 1))
            for stream, lowest in found.spool.items()
        )

    def _farther(self, found: Status, said: Status) -> bool:
        """Whether what is fetched came farther, as far as that is worth a message of its own."""
        if self._clock() - self._status_s < FARTHER_S:
            return False
        before = {one.model: one.done_bytes or 0 for one in said.models}
        return any(
            ((one.done_bytes or 0) - before.get(one.model, 0)) * _TENTHS >= one.total_bytes
            for one in found.models
            if one.total_bytes
        )

    def take(self, *, most_bytes: int | None = None) -> list[Message]:
        """Return the next messages to send, none while enough wait for an acknowledgement."""
        if self._flying and self._clock() - self._moved_s > self._resend_s:
            self._resend_s = min(self._resend_s * 2, RESEND_MOST_S)
            if self._window > 1:
                self._status = None  # what the broker says to it tells whether we are heard at all
            self._window = 1
            self._ground()
        try:
            found = self._ends.spool.messages(self._sent, limit=self._window - len(self._flying))
        except StorageError as e:
            log.warning("the spool cannot be read: %s [%s]", e, e.code)
            return []
        taken: list[Message] = []
        size = 0
        for message in found:
            size += len(message.body)
            if taken and most_bytes is not None and size > most_bytes:
                break
            taken.append(message)
            self._sent[message.stream] = message.sequence
            self._flying.add((message.stream, message.sequence))
        if taken:
            self._moved_s = self._clock()
        return taken

    def acknowledged(self, data: bytes) -> None:
        """Take the console's Acks: only now do messages leave the spool."""
        try:
            acks = Acks.from_json(data).acks
            gone = self._ends.spool.acknowledge(acks)
        except (MalformedError, StorageError) as e:
            log.warning("an acknowledgement is lost: %s [%s]", e, e.code)
            return
        self._acked |= acks
        self._flying = {one for one in self._flying if one[1] > acks.get(one[0], 0)}
        if gone:
            self._moved_s, self._resend_s = self._clock(), self._first_resend_s
            self._window = self._most
            self._ends.listening()
        elif self._flying and self._clock() - self._moved_s > SETTLE_S:
            # A console that has just come back says how far it is, and what we sent is lost.
            self.rewind()

    def due_in_s(self) -> float:
        """Return after how many seconds something is to be sent again."""
        waits = [self._status_s + self._ends.status_every_s]
        if self._flying:
            waits.append(self._moved_s + self._resend_s)
        return max(0.0, min(waits) - self._clock())


class Auto:
    """The broker while it can be reached, else HTTPS, and back."""

    def __init__(
        self,
        broker: Channel,
        https: Callable[[], Channel],
        *,
        fallback_after_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker, self._make_https, self._clock = broker, https, clock
        self._fallback_after_s = fallback_after_s
        self._https: Channel | None = None
        self._down_since_s = clock()

    @property
    def name(self) -> str:
        return self._current.name

    @property
    def up(self) -> bool:
        return self._current.up

    @property
    def trouble(self) -> LittoralError | None:
        return self._current.trouble

    @property
    def denial(self) -> DeniedError | None:
        """Return what HTTPS says, if it says anything: a broker knows no reasons."""
        if self.up:
            return None
        said = self._https.denial if self._https is not None else None
        return said or self._broker.denial

    def anew(self) -> None:
        self._broker.anew()
        if (https := self._https) is not None:
            https.anew()

    @property
    def _current(self) -> Channel:
        return self._broker if self._broker.up or self._https is None else self._https

    def start(self) -> None:
        self._down_since_s = self._clock()
        self._broker.start()

    def stop(self) -> None:
        self._broker.stop()
        self._leave_https()

    def wake(self) -> None:
        self._broker.wake()
        if (https := self._https) is not None:
            https.wake()

    def tick(self) -> None:
        if self._broker.up:
            self._down_since_s = self._clock()
            self._leave_https()
            return
        down_s = self._clock() - self._down_since_s
        if self._https is None and down_s >= self._fallback_after_s:
            log.info("no broker answers; going over HTTPS until one does")
            self._https = self._make_https()
            self._https.start()

    def _leave_https(self) -> None:
        if self._https is not None:
            self._https.stop()
            self._https = None


def _steady(status: Status) -> Status:
    """Return ``status`` without what changes by itself."""
    board = replace(status.board, now=None) if status.board else None
    models = tuple(replace(one, done_bytes=None, total_bytes=None) for one in status.models)
    return replace(status, time_ms=0, spool={}, board=board, models=models)
