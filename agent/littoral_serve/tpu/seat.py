"""One seat: does what the table of littoral_serve.tpu.life says. All of it happens on the loop.

Which order comes next is the pool's to say; what becomes of it is told to whoever gave it.
"""

import asyncio
import contextlib
import logging
from typing import Final, Protocol

from littoral.backoff import Backoff
from littoral_serve.tpu import messages
from littoral_serve.tpu.life import Do, Event, State, step
from littoral_serve.tpu.messages import Failed, Lacking, Opened, Seating
from littoral_serve.tpu.orders import Limits, Order
from littoral_serve.tpu.process import Process

_GONE_S: Final = 2.0  # after its end: one that hangs in the kernel is left to it

log = logging.getLogger(__name__)


class Home(Protocol):
    """Whose seat it is."""

    def next(self, seat: "Seat") -> None:
        """Find something to do for ``seat``, which is ready."""
        ...

    def opened(self, seat: "Seat", listed: int) -> None:
        """Take note that ``seat`` has a TPU, and that its library sees so many."""
        ...

    def lost(self, seat: "Seat") -> None:
        """Take note that what was loaded there is so no more."""
        ...

    def lend(self, seat: "Seat") -> None:
        """Let a trial begin on the TPU of ``seat``."""
        ...

    def taken(self, but: "Seat") -> tuple[str, ...]:
        """Return the paths of the TPUs that the others have."""
        ...


class Seat:
    """The place of one TPU's child; children come and go."""

    def __init__(self, device: str, home: Home, limits: Limits, *, library: str = "") -> None:
        self.device, self.path, self._library = device, "", library
        self.state = State.OFF
        self._home, self._limits = home, limits
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(limits.first_pause_s, limits.most_pause_s)
        self._process: Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._order: Order | None = None
        self._answer: messages.Message | None = None
        self._why = self._told = ""
        self._opened_s = 0.0

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def take(self, event: Event) -> None:
        """Let ``event`` happen. Raises ValueError where it cannot."""
        self.state, deeds = step(self.state, event)
        self._unset()
        for deed in deeds:
            self._do(deed)

    def leave(self, why: str) -> None:
        """Give the child up, which is ready, because of ``why``; another one comes later."""
        self._why = why
        self.take(Event.ENDED)

    async def gone(self) -> None:
        """Wait until there is no child, which must have been ended, or it cannot be."""
        if self._process is not None:
            gone = asyncio.Event()
            self._process.after(gone.set)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GONE_S):
                    await gone.wait()

    def order(self, order: Order) -> None:
        """Have ``order`` done by the child, which is ready."""
        self._order = order
        self.take(Event.ORDERED)

    def _do(self, deed: Do) -> None:
        match deed:
            case Do.START:
                self._start()
            case Do.SEND:
                self._send()
            case Do.GIVE:
                self._give()
            case Do.FAIL:
                self._fail()
            case Do.NEXT:
                self._next()
            case Do.END:
                self._end()
            case Do.TELL:
                self._tell()
            case Do.PAUSE:
                self._pause()
            case Do.LEND:
                self._lend()

    def _start(self) -> None:
        open_s, before = self._limits.open_s, self._process
        self._set(open_s, Event.LATE, f"it opened none within {open_s:g} s")
        if before is not None:  # who was killed may take a while to go
            before.after(lambda: self._begin(before))
        else:
            self._begin(None)

    def _begin(self, before: Process | None) -> None:
        if self.state is not State.OPENING or self._process is not before:
            return
        seating = Seating(
            library=self._library,
            device=self.device,
            taken=self._home.taken(self),
            address_space_bytes=self._limits.address_space_bytes,
        )
        try:
            self._process = Process(seating, heard=self._heard, lost=self._lost)
        except OSError as e:
            self._why = str(e)
            self.take(Event.LACKING)

    def _heard(self, what: messages.Message) -> None:
        match self.state, what:
            case State.OPENING, Opened(path=path, listed=listed):
                self.path = path
                self._opened_s = self._loop.time()
                self._told = ""
                log.info("an Edge TPU is open: %s", self)
                self.take(Event.OPENED)
                self._home.opened(self, listed)
            case State.OPENING, Lacking(error=error):
                self._why = error
                self.take(Event.LACKING)
            case State.BUSY, messages.Loaded() | messages.Ran() | messages.Dropped() | Failed():
                self._answer = what
                self.take(Event.ANSWERED)
            case _:
                self._why = f"it said {type(what).__name__}, which nobody asked for"
                self.take(Event.ENDED)

    def _lost(self) -> None:
        self.take(Event.ENDED)

    def _send(self) -> None:
        order = self._order
        if order is None or self._process is None:
            raise ValueError(f"{self} has nothing to say, or nobody to say it to")
        # Nobody there: that it is lost is heard by itself.
        self._process.send(order.say, order.descriptors)
        order.close()
        self._set(order.limit_s, Event.LATE, f"it did not answer within {order.limit_s:g} s")

    def _give(self) -> None:
        order, self._order = self._order, None
        answer, self._answer = self._answer, None
        if order is not None:
            order.then(answer)

    def _fail(self) -> None:
        order, self._order = self._order, None
        if order is not None:
            order.then(None)

    def _next(self) -> None:
        if self.state is State.READY:  # who was given an answer may have ordered more
            self._home.next(self)

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
        self._home.lost(self)

    def _tell(self) -> None:
        process, why, which = self._process, self._why, str(self)
        self.path = self._why = ""

        def tell() -> None:
            words = why or (process.words() if process is not None else "it did not start")
            if words != self._told:  # once, however often it is tried
                log.error("no Edge TPU (%s): %s", which, words)
            self._told = words

        if process is not None:
            process.after(tell)
        else:
            tell()

    def _pause(self) -> None:
        if self._opened_s and self._loop.time() - self._opened_s >= self._limits.steady_s:
            self._backoff.reset()
        self._opened_s = 0.0
        self._set(self._backoff.next(), Event.DUE)

    def _lend(self) -> None:
        if self._process is not None:
            self._process.after(lambda: self._home.lend(self))
        else:
            self._home.lend(self)

    def _set(self, after_s: float, event: Event, why: str = "") -> None:
        def happen() -> None:
            self._timer = None
            self._why = why or self._why
            self.take(event)

        self._timer = self._loop.call_later(after_s, happen)

    def _unset(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.device, self.path))) or "any"
