"""Serve's windows of latencies into batches for the console.

Serve keeps a window until it is asked for a later one, and a batch goes into the spool
together with how far it reaches: so a kill at any moment neither loses a window nor counts
it twice. The board's readings ride along, or alone where nobody asked anything.
"""

import base64
import binascii
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from littoral.errors import MalformedError
from littoral.wire.board import BoardWindow
from littoral.wire.control import Window
from littoral.wire.message import MAX_BYTES
from littoral.wire.messages import Key
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Series, Telemetry
from littoral_agent.control import Control
from littoral_agent.spool import Spool

MOST_BYTES: Final = MAX_BYTES - 8 * 1024  # of series in one message; the rest is for what else
_MARK: Final = "timings"

Name = tuple[str, int, str, str]  # model, release, variant, stage


@dataclass(slots=True)
class Batch:
    """Windows that follow one another, merged."""

    start_ms: int
    duration_ms: int = 0
    sketches: dict[Name, Sketch] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    def add(self, window: Window) -> None:
        """Merge ``window``. Raises MalformedError if a sketch in it is none."""
        self.duration_ms = window.start_ms + window.duration_ms - self.start_ms
        for release, count in window.errors.items():
            self.errors[release] = self.errors.get(release, 0) + count
        for one in window.timings:
            try:
                sketch = Sketch.decode(base64.b64decode(one.sketch, validate=True))
            except (ValueError, binascii.Error) as e:
                raise MalformedError(f"serve: a sketch of {one.model}: {e}") from e
            name = (one.model, one.release, one.variant, one.stage)
            self.sketches.setdefault(name, Sketch()).merge(sketch)

    def speeds(self) -> tuple["Speed", ...]:
        """Return how fast each release was, by its invokes."""
        return tuple(
            Speed(
                model=model,
                release=release,
                count=sketch.count,
                p50_us=sketch.quantile(0.5),
                p95_us=sketch.quantile(0.95),
            )
            for (model, release, _, stage), sketch in sorted(self.sketches.items())
            if stage == "invoke" and sketch.count
        )

    def messages(self) -> Iterator["Unkeyed"]:
        """Walk what is to be said of it: nothing, if nothing was asked."""
        errors = {name: count for name, count in self.errors.items() if count}
        series = [
            Series(model=model, release=release, variant=variant, stage=stage, sketch=sketch)
            for (model, release, variant, stage), sketch in sorted(self.sketches.items())
            if sketch.count
        ]
        part: list[Series] = []
        size = 0
        for one in series:
            if size + _size(one) > MOST_BYTES:
                yield Unkeyed(self, tuple(part), errors)
                part, size, errors = [], 0, {}
            part.append(one)
            size += _size(one)
        if part or errors:
            yield Unkeyed(self, tuple(part), errors)


@dataclass(frozen=True, slots=True)
class Unkeyed:
    """A message that has no place in a stream yet."""

    batch: Batch
    series: tuple[Series, ...] = ()
    errors: dict[str, int] = field(default_factory=dict)
    board: BoardWindow | None = None

    def __call__(self, key: Key) -> bytes:
        """Return its body at the place ``key``."""
        return Telemetry(
            key=key,
            start_ms=max(0, self.batch.start_ms),
            duration_ms=max(0, self.batch.duration_ms),
            series=self.series,
            errors=self.errors,
            board=self.board,
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast one release was, of a window that is told."""

    model: str
    release: int
    count: int
    p50_us: float
    p95_us: float


@dataclass(frozen=True, slots=True)
class Collected:
    """What was taken into the spool."""

    messages: int
    speeds: tuple[Speed, ...] = ()  # of the latest batch


def collect(
    control: Control,
    spool: Spool,
    *,
    instance: str | None,
    window_s: float,
    ahead_s: float = 0.0,
    board: BoardWindow | None = None,
) -> Collected:
    """Take what serve (the process ``instance``) and the board have told into the spool.

    ``ahead_s`` is by how much the system's clock, which serve knows alone, is ahead of the time.
    Without an ``instance``, serve is not asked.

    Raises:
        ServeDownError, MalformedError: Serve does not answer, or something else.
        StorageError: The disk refuses; serve still has it all.

    """
    ahead_ms = round(ahead_s * 1000)
    windows, marks = ([], {}) if instance is None else _new(control, spool, instance)
    windows = [replace(window, start_ms=window.start_ms - ahead_ms) for window in windows]
    found = batches(windows, window_s)
    messages = [m for batch in found for m in batch.messages()]
    if board is not None:
        now_ms = round(time.time() * 1000) - ahead_ms
        messages = _with_board(messages, board, now_ms=now_ms, window_ms=round(window_s * 1000))
    if messages or marks:
        spool.add("telemetry", *messages, marks=marks)
    return Collected(len(messages), found[-1].speeds() if found else ())


def batches(windows: Iterable[Window], window_s: float) -> list[Batch]:
    """Merge windows that follow one another, up to ``window_s`` of them."""
    found: list[Batch] = []
    for window in sorted(windows, key=lambda one: one.sequence):
        ends_ms = window.start_ms + window.duration_ms
        if not found or ends_ms - found[-1].start_ms > window_s * 1000:
            found.append(Batch(start_ms=window.start_ms))
        found[-1].add(window)
    return found


def _size(one: Series) -> int:
    """Return how many bytes ``one`` takes in a message, or a few more."""
    return len(one.model) + len(one.variant) + len(one.stage) + len(one.sketch.encode()) + 32


def _new(control: Control, spool: Spool, instance: str) -> tuple[list[Window], Mapping[str, str]]:
    """Return the windows that were not taken yet, and what to remember with them."""
    known, _, reached = (spool.mark(_MARK) or "").partition(" ")
    after = int(reached) if known == instance and reached.isdigit() else 0
    timings = control.timings(after)
    windows = [window for window in timings.windows if window.sequence > after]
    if timings.instance != instance or not windows:
        return [], {}
    last = max(window.sequence for window in windows)
    return windows, {_MARK: f"{instance} {last}"}


def _with_board(
    messages: list["Unkeyed"], board: BoardWindow, *, now_ms: int, window_ms: int
) -> list["Unkeyed"]:
    """Let the board ride on the last message, whose window then ends now; else on its own."""
    if not messages:
        return [Unkeyed(Batch(now_ms - window_ms, window_ms), board=board)]
    *others, last = messages
    last.batch.duration_ms = max(last.batch.duration_ms, now_ms - last.batch.start_ms)
    return [*others, replace(last, board=board)]
