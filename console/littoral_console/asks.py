"""What devices ask for over the broker, and whose turn it is: a block's worth each, in turn.

Rules only: no broker, no file; it is told what time it is. A device is known by its name alone,
which the broker vouches for. Whatever one of them asks for, the others wait for a block of it, and
what is kept of it is small. Who asks for little at once is answered more often in its turn: whoever
came first asks for much, and would else have more for as long as it takes.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Final

from littoral.wire.blocks import MOST_ASKS, MOST_BLOCK, MOST_UNHEARD, Ask

COST_BYTES: Final = 1024  # of an answer, beside what it brings: else empty ones were free
FORGIVEN_BYTES_PER_S: Final = 512  # of what nobody has shown to have heard
MOST_DEVICES: Final = 10_000  # a broker that is not ours may let anybody ask, by any name
_MOST_MARKS: Final = MOST_UNHEARD // COST_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The next thing to do: answer ``ask``, by ``length`` bytes at most."""

    device: str
    ask: Ask
    length: int


@dataclass(slots=True)
class _Device:
    waiting: deque[Ask] = field(default_factory=deque)
    lined_up: bool = False
    serving: bool = False
    used: int = 0  # bytes, of its turn
    owes: int = 0  # bytes that were sent, and are not known to have arrived
    marks: "OrderedDict[int, int]" = field(default_factory=OrderedDict)  # what each was sent with
    since_s: float = 0.0


class Asks:
    """All of them. Not safe to share between threads."""

    def __init__(self) -> None:
        self._devices: OrderedDict[str, _Device] = OrderedDict()  # who asked last stands last
        self._ring: deque[str] = deque()

    def put(self, device: str, ask: Ask, *, now: float) -> None:
        """Take what ``device`` asks. One that ends where another does takes its place."""
        held = self._devices.get(device)
        if held is None:
            held = self._devices[device] = _Device(since_s=now)
            if len(self._devices) > MOST_DEVICES:
                self._devices.popitem(last=False)
        self._devices.move_to_end(device)
        held.owes = max(0, held.owes - int((now - held.since_s) * FORGIVEN_BYTES_PER_S))
        held.since_s = now
        _acknowledge(held, ask.seen)
        for other in held.waiting:
            if (other.name, other.end) == (ask.name, ask.end):
                held.waiting.remove(other)
                break
        held.waiting.append(ask)
        if len(held.waiting) > MOST_ASKS:
            held.waiting.popleft()
        self._line_up(device, held)

    def next(self) -> Turn | None:
        """Return whose turn it is, and at what; None if nobody's. To be followed by ``done``."""
        while self._ring:
            device = self._ring.popleft()
            held = self._devices.get(device)
            if held is None or not held.lined_up:
                continue  # it was dropped since
            held.lined_up = False
            ask = held.waiting[0]
            length = min(ask.length, MOST_BLOCK)
            if held.owes + length + COST_BYTES > MOST_UNHEARD:
                continue  # it lines up again when it shows what it has got
            held.waiting.popleft()
            held.serving = True
            return Turn(device=device, ask=ask, length=length)
        return None

    def done(self, turn: Turn, *, mark: int, sent: int, total: int) -> None:
        """Take note that ``sent`` bytes went out under ``mark``, of a file of ``total`` bytes."""
        held = self._devices.get(turn.device)
        if held is None:
            return
        held.serving = False
        held.used += sent + COST_BYTES
        held.owes += sent + COST_BYTES
        held.marks[mark] = sent + COST_BYTES
        if len(held.marks) > _MOST_MARKS:  # who repeats none is forgiven the oldest by and by
            held.marks.popitem(last=False)
        start, end = turn.ask.start + sent, min(turn.ask.end, total)
        renewed = any((one.name, one.end) == (turn.ask.name, turn.ask.end) for one in held.waiting)
        if sent and start < end and not renewed:
            held.waiting.appendleft(replace(turn.ask, start=start, length=turn.ask.end - start))
        self._line_up(turn.device, held)

    def drop(self, device: str) -> None:
        """Forget the device: it is to have nothing."""
        self._devices.pop(device, None)

    def _line_up(self, device: str, held: _Device) -> None:
        if not held.waiting:
            held.used = 0
        elif not held.serving and not held.lined_up:
            held.lined_up = True
            if 0 < held.used < MOST_BLOCK:
                self._ring.appendleft(device)  # it is still its turn
            else:
                held.used = max(0, held.used - MOST_BLOCK)
                self._ring.append(device)


def _acknowledge(held: _Device, mark: int) -> None:
    """Forgive what was sent up to ``mark``: who knows that one has heard what was before it."""
    if mark not in held.marks:
        return
    while held.marks:
        one, count = held.marks.popitem(last=False)
        held.owes = max(0, held.owes - count)
        if one == mark:
            return
