"""How long requests took, by model, release, variant and stage, in windows that are fetched.

What was answered is counted beside it, and leaves as one more stage (littoral.wire.drift).

A percentile is never made here: sketches are counted, closed with their window, and handed on.
"""

import base64
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from littoral import records
from littoral.wire.sketch import Sketch
from littoral.wire.stages import STAGES

if TYPE_CHECKING:  # the records are made when a window closes, and imported then
    from littoral.wire.control import Timing
    from littoral_serve.running.answers import Answers


_AT_ONCE: Final = 64  # spans that are counted together, which costs each a third


class Meter:
    """Counts one release of one model. Times are in nanoseconds."""

    __slots__ = (
        "_errors",
        "_open",
        "_past",
        "_stages",
        "answers",
        "errors",
        "instances",
        "last_ms",
        "model",
        "release",
        "requests",
        "variant",
    )

    def __init__(
        self, model: str, *, release: int, variant: str, answers: "Answers | None" = None
    ) -> None:
        self.model, self.release, self.variant = model, release, variant
        self.answers = answers
        self.requests = self.errors = 0
        self.instances = 0  # that were answered: a batch of eight is eight
        self.last_ms = 0  # since 1970, when one was answered
        self._errors = 0  # in this window
        self._past = tuple(Sketch() for _ in STAGES)  # of the windows that are closed
        self._stages = tuple(Sketch() for _ in STAGES)
        self._open = tuple(list[int]() for _ in STAGES)  # what no sketch has counted yet

    def invoked(self, ns: int) -> None:
        self._open[2].append(ns)

    def answered(
        self, *, queue: int, preprocess: int, postprocess: int, instances: int = 1
    ) -> None:
        self.requests += 1
        self.instances += instances
        self.last_ms = time.time_ns() // 1_000_000
        waited, before, ran, after = self._open
        waited.append(queue)
        before.append(preprocess)
        after.append(postprocess)
        if len(after) >= _AT_ONCE or len(ran) >= _AT_ONCE:
            self._count()

    def _count(self) -> None:
        for sketch, spans in zip(self._stages, self._open, strict=True):
            sketch.record_ns(spans)
            spans.clear()

    def failed(self) -> None:
        """Count a failure of the model's own: a client's mistake is none."""
        self.requests += 1
        self.errors += 1
        self._errors += 1

    def invoke(self) -> Sketch:
        """Return all invokes since this meter was made."""
        return self.totals()[STAGES.index("invoke")]

    def totals(self) -> tuple[Sketch, ...]:
        """Return all that was counted since this meter was made, in the order of the stages."""
        self._count()
        found = tuple(Sketch() for _ in STAGES)
        for total, *parts in zip(found, self._past, self._stages, strict=True):
            for part in parts:
                total.merge(part)
        return found

    def close(self) -> "tuple[int, list[Timing]]":
        """Return this window's errors and stages, and begin the next one."""
        from littoral.wire.control import Timing

        self._count()
        errors, self._errors = self._errors, 0
        for past, sketch in zip(self._past, self._stages, strict=True):
            past.merge(sketch)
        named: list[tuple[str, Sketch]] = list(zip(STAGES, self._stages, strict=True))
        if self.answers is not None:
            named += self.answers.close().items()
        found = [
            Timing(
                model=self.model,
                release=self.release,
                variant=self.variant,
                stage=stage,
                sketch=base64.b64encode(sketch.encode()).decode(),
            )
            for stage, sketch in named
            if sketch.count
        ]
        self._stages = tuple(Sketch() for _ in STAGES)
        return errors, found


class Timings:
    """The open window, and those that nobody has fetched yet, the oldest dropped first."""

    def __init__(self, *, backlog_bytes: int) -> None:
        self._meters: list[Meter] = []
        self._closed: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._most = backlog_bytes
        self._sequence = 0
        self._start, self._since = time.time(), time.monotonic()

    def watch(self, meter: Meter) -> None:
        """Let ``meter`` be part of the windows from now on."""
        self._meters.append(meter)

    def close_window(self, running: Iterable[Meter]) -> None:
        """End the open window. Of meters that are not ``running``, this one was the last.

        A window in which nothing happened leaves no trace.
        """
        start, self._start = self._start, time.time()
        now = time.monotonic()  # a clock that is set in between makes no window last for years
        lasted_s, self._since = now - self._since, now
        errors: dict[str, int] = {}
        timings: list[Timing] = []
        for meter in self._meters:
            failed, found = meter.close()
            if failed:
                name = f"{meter.model}/{meter.release}"
                errors[name] = errors.get(name, 0) + failed
            timings += found
        self._meters = list(running)
        if timings or errors:
            self._keep(start, lasted_s, errors, timings)

    def _keep(
        self, start: float, lasted_s: float, errors: dict[str, int], timings: "list[Timing]"
    ) -> None:
        from littoral.wire.control import Window

        self._sequence += 1
        window = Window(
            sequence=self._sequence,
            start_ms=int(start * 1000),
            duration_ms=max(1, int(lasted_s * 1000)),
            errors=errors,
            timings=tuple(timings),
        )
        data = records.to_json(window)
        self._closed.append((self._sequence, data))
        self._size += len(data)
        while self._size > self._most:
            self._drop()

    def above(self, after: int) -> bytes:
        """Return the windows above ``after`` as a list of JSON, and forget the others."""
        while self._closed and self._closed[0][0] <= after:
            self._drop()
        return b"[" + b",".join(data for _, data in self._closed) + b"]"

    def _drop(self) -> None:
        _, data = self._closed.popleft()
        self._size -= len(data)
