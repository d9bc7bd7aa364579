"""The TPUs of this machine as one: each model is loaded on every one, a request goes to a free one.

A request that its child did not survive is not sent to another one: it may be what ended it. All
of it happens on the loop.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Final

from littoral.errors import BackendMissingError, LittoralError
from littoral.model import tensors
from littoral_serve.running.runners import Outputs
from littoral_serve.tpu import messages
from littoral_serve.tpu.jobs import Job, Jobs, Then
from littoral_serve.tpu.life import Event, State
from littoral_serve.tpu.model import Model, error_of
from littoral_serve.tpu.orders import Answer, Lent, Limits, Order
from littoral_serve.tpu.seat import Seat
from littoral_serve.tpu.sheet import Sheet

_MOST_SEATS: Final = 16
_HOPELESS: Final = frozenset({State.OFF, State.AWAY})


class Pool:
    """Seats for the TPUs named ``devices``; where none is named, for all that the library lists.

    Of another delegate's ``library`` there is one.
    """

    def __init__(
        self, devices: Iterable[str] = (), *, library: str = "", limits: Limits | None = None
    ) -> None:
        self._library = library
        self._limits = limits or Limits()
        self._named = tuple(devices)
        self._held: dict[Seat, dict[int, Sheet]] = {}
        self._last: dict[Seat, int] = {}  # the model that ran there last
        self._models: dict[int, Model] = {}
        self._jobs = Jobs(wait_s=self._limits.wait_s)
        self._seekers: deque[asyncio.Future[Seat]] = deque()

    @property
    def seats(self) -> tuple[Seat, ...]:
        return tuple(self._held)

    def add(self, model: Model) -> None:
        """Have ``model`` loaded wherever there is a TPU, from now on."""
        self._models[model.number] = model
        for device in () if self._held else self._named or ("",):
            self._seat(device)
        for seat in self.seats:
            self._wake(seat)

    def drop(self, model: Model) -> None:
        """Have it loaded no more."""
        self._models.pop(model.number, None)
        for seat in self.seats:
            self._wake(seat)

    async def close(self) -> None:
        """End all children."""
        self._models.clear()
        for seat in self.seats:
            self._wake(seat)
        for seat in self.seats:
            await seat.gone()

    def width(self, model: Model) -> int:
        """Return on how many TPUs ``model`` is loaded."""
        return sum(model.number in held for held in self._held.values())

    def holds(self, model: Model) -> bool:
        """Tell whether ``model`` is loaded on a TPU."""
        return self.width(model) > 0

    def hopeless(self, model: Model) -> bool:
        """Tell whether nothing is under way by which a TPU would have it."""
        away = all(seat.state in _HOPELESS for seat in self._held)
        return not self.holds(model) and (away or model.refusal is not None)

    def run(self, model: Model, inputs: Outputs, then: Then) -> None:
        """Run ``model`` as soon as a TPU that has it is free; ``then`` is told once.

        Raises ValueError where an input is not as its spec says.
        """
        tensors.check_all(inputs, model.inputs)
        job = Job(model, inputs, then)
        if self.hopeless(model):
            job.fail(self._why(model))
            return
        self._jobs.add(job)
        # Who ran it last still has its parameters on the chip.
        for seat in sorted(self.seats, key=lambda one: self._last.get(one) != model.number):
            if seat.state is State.READY:
                self.next(seat)

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[Lent]:
        """Give a TPU to a trial; requests go elsewhere or wait meanwhile."""
        if not self._held:
            yield Lent(library=self._library, device=self._named[0] if self._named else "")
            return
        seeker: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        self._seekers.append(seeker)
        self._seek()
        try:
            seat = await seeker
            device = "" if self._library else seat.path or seat.device
            yield Lent(library=self._library, device=device, taken=self.taken(seat))
        finally:
            if seeker.done() and not seeker.cancelled():
                self._return(seeker.result())
            else:
                seeker.cancel()

    # What seats ask of their pool:

    def next(self, seat: Seat) -> None:
        if any(not seeker.done() for seeker in self._seekers):
            seat.take(Event.SOUGHT)
        elif not self._models:
            seat.take(Event.SPARED)
        else:
            order = self._drop_there(seat) or self._load_there(seat) or self._run_there(seat)
            if order is not None:
                seat.order(order)

    def opened(self, seat: Seat, listed: int) -> None:
        """Take note of how many TPUs there are: each has a seat, unless some are named."""
        if seat.device:
            return
        while len(self._held) < min(listed, _MOST_SEATS):
            self._wake(self._seat(""))

    def lost(self, seat: Seat) -> None:
        """Take note that nothing is loaded there any more."""
        held, self._held[seat] = self._held[seat], {}
        for number in held:
            if (model := self._models.get(number)) is not None:
                model.changed()
        self._give_up()

    def lend(self, seat: Seat) -> None:
        while self._seekers:
            seeker = self._seekers.popleft()
            if not seeker.done():
                seeker.set_result(seat)
                return
        self._return(seat)

    def taken(self, but: Seat) -> tuple[str, ...]:
        return tuple(seat.path for seat in self._held if seat is not but and seat.path)

    # What comes next for a seat:

    def _drop_there(self, seat: Seat) -> Order | None:
        for number in self._held[seat].keys() - self._models.keys():
            del self._held[seat][number]
            return Order(
                say=messages.Drop(number=number), limit_s=self._limits.load_s, then=lambda _: None
            )
        return None

    def _load_there(self, seat: Seat) -> Order | None:
        for model in self._models.values():
            if model.number in self._held[seat] or model.refusal is not None:
                continue
            try:
                sheet, *descriptors = model.hand_over()
            except LittoralError as e:
                model.refused(e)
                continue
            except OSError as e:  # descriptors or memory are out: that is not the model's fault
                seat.leave(f"nothing can be handed over: {e}")
                return None
            return Order(
                say=model.load(),
                limit_s=self._limits.load_s,
                then=partial(self._loaded, seat, model, sheet),
                descriptors=tuple(descriptors),
            )
        return None

    def _loaded(self, seat: Seat, model: Model, sheet: Sheet, answer: Answer) -> None:
        match answer:
            case messages.Loaded():
                self._held[seat][model.number] = sheet
                model.loaded()
            case messages.Failed(code=BackendMissingError.code):
                seat.take(Event.ENDED)  # its TPU is gone, and it did not notice
            case messages.Failed(code=code, error=error):
                model.refused(error_of(code, error))
            case _:
                model.lost()
        self._give_up()

    def _run_there(self, seat: Seat) -> Order | None:
        job = self._jobs.next(self._held[seat].keys())
        if job is None:
            return None
        self._last[seat] = job.model.number
        return job.order(self._held[seat][job.model.number], limit_s=self._limits.invoke_s)

    def _give_up(self) -> None:
        """Tell those that wait in vain."""
        for job in self._jobs.give_up(self.hopeless):
            job.fail(self._why(job.model))

    def _why(self, model: Model) -> str:
        return f"no Edge TPU has it: {model.refusal or 'none can be opened at the moment'}"

    def _seat(self, device: str) -> Seat:
        seat = Seat(device, self, self._limits, library=self._library)
        self._held[seat] = {}
        return seat

    def _wake(self, seat: Seat) -> None:
        match seat.state:
            case State.OFF if self._models:
                seat.take(Event.NEEDED)
            case State.READY:
                self.next(seat)
            case State.OPENING | State.BUSY | State.AWAY if not self._models:
                seat.take(Event.SPARED)
            case _:
                pass

    def _seek(self) -> None:
        """Find a TPU for a trial: one that is free, else one that is to become so."""
        by_state = {seat.state: seat for seat in self._held}
        if State.READY not in by_state and State.BUSY in by_state:
            return
        for state in (State.READY, State.OPENING, State.AWAY, State.OFF):
            if state in by_state:
                by_state[state].take(Event.SOUGHT)
                return

    def _return(self, seat: Seat) -> None:
        seat.take(Event.RETURNED if self._models else Event.SPARED)
        if self._seekers:
            self._seek()
