"""The releases that answer requests. All of it happens on the loop; loading is loading's.

A request takes the Live that it finds and ends on it; a switch is one assignment between two
requests. The release before it stays loaded where memory allows, so that going back is at once.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from littoral.bundle.manifest import Manifest, Task, Tensor, Variant
from littoral.model.tasks.labels import NONE, Labels
from littoral_serve.running.lane import Bounds, Lane
from littoral_serve.running.memory import Residents, Sleeper
from littoral_serve.running.signatures import Signature, batch_size, signatures
from littoral_serve.running.threads import Threads
from littoral_serve.running.timings import Meter

if TYPE_CHECKING:
    from littoral.bundle.baseline import Baseline
    from littoral.bundle.verified import Files
    from littoral_serve.running.answers import Answers

_MEMINFO: Final = Path("/proc/meminfo")


class Elsewhere(Protocol):
    """What runs some variants in processes of its own, which this package does not know."""

    def runs(self, variant: Variant) -> bool:
        """Whether it is what runs ``variant``."""
        ...

    def load(
        self,
        manifest: Manifest,
        variant: Variant,
        files: "Files",
        describe: "Callable[[Variant], Description]",
        *,
        resources: "Resources",
    ) -> "Live":
        """Return ``variant``, verified. Raises LittoralError."""
        ...

    def load_file(
        self, path: Path, model: bytes, describe: "Describe", *, resources: "Resources"
    ) -> "Live":
        """Return ``model``, the bytes of ``path``, for an Edge TPU. Raises LittoralError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What releases are run with here."""

    threads: Threads = 1
    bounds: Bounds = field(default_factory=Bounds)
    residents: Residents = field(default_factory=lambda: Residents(budget_bytes=0))
    engines: Path | None = None  # folder of what TensorRT built; None: it is built each time
    elsewhere: Elsewhere | None = None
    rest_s: float = 0.0  # of a load, after each step that keeps requests from running


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is said of a release that is loaded."""

    model: str
    release: int
    label: str
    manifest: str  # its sha256
    variant: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    baseline: "Baseline | None" = None  # what drift is measured against
    task: Task | None = None  # None: nobody said it
    labels: Labels = NONE  # of classes


# What makes a Description of a bare file's inputs and outputs.
Describe = Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], Description]


class Place(Protocol):
    """Where a release runs that can be lost without it, and what answers meanwhile."""

    @property
    def twin(self) -> "Live | None": ...

    @property
    def stands_in(self) -> bool:
        """Whether the twin answers now."""
        ...

    @property
    def lost(self) -> bool:
        """Whether it is not there, and nothing is under way by which it would be."""
        ...

    def begin(self) -> None:
        """Have it there as soon as may be. For the loop; can be done twice."""
        ...

    async def settled(self) -> None:
        """Begin, and wait until it is there or cannot be for now. Raises what refuses it."""
        ...


class Live:
    """One loaded release, and what it has done since it was switched in."""

    def __init__(self, description: Description, lane: Lane, place: Place | None = None) -> None:
        about = description
        self.description, self.lane, self.place = about, lane, place
        self.model, self.release, self.label = about.model, about.release, about.label
        self.manifest, self.variant = about.manifest, about.variant
        self.inputs, self.outputs = about.inputs, about.outputs
        self.signatures: Mapping[str, Signature] = signatures(about.inputs, about.outputs)
        self.batch = batch_size(about.inputs, about.outputs)
        self.meter = Meter(
            about.model, release=about.release, variant=about.variant, answers=_answers(about)
        )
        self.since_ms = int(time.time() * 1000)
        self.kept: dict[str, Any] = {}  # what protocols found out about it

    def again(self) -> "Live":
        """Return this release as newly switched in: same queue, counts from zero."""
        return Live(self.description, self.lane, self.place)

    @property
    def meters(self) -> tuple[Meter, ...]:
        """Return what counts its requests: those of its twin are counted as the twin's."""
        twin = None if self.place is None else self.place.twin
        return (self.meter,) if twin is None else (self.meter, twin.meter)

    @property
    def sleeper(self) -> Sleeper | None:
        """Return what unloads it, where there is a budget of memory."""
        one = self.lane.runner
        return one if isinstance(one, Sleeper) else None


class Models:
    """By name, the release that answers, and the one before it."""

    def __init__(
        self, *, keep_previous_free_bytes: int, residents: Residents | None = None
    ) -> None:
        self._running: dict[str, Live] = {}
        self._previous: dict[str, Live] = {}
        self._reserve = keep_previous_free_bytes
        self._residents = residents or Residents(budget_bytes=0)

    def get(self, model: str) -> Live | None:
        """Return what answers now: the release that runs, or its twin."""
        one = self._running.get(model)
        if one is None or one.place is None or not one.place.stands_in:
            return one
        return one.place.twin or one

    def running(self, model: str) -> Live | None:
        """Return the release that was switched in last."""
        return self._running.get(model)

    def __iter__(self) -> Iterator[Live]:
        return iter(tuple(self._running.values()))

    def held(self, model: str, *, manifest: str, variant: str) -> Live | None:
        """Return that release if it is loaded, answering or not."""
        for live in (self._running.get(model), self._previous.get(model)):
            if live is not None and (live.manifest, live.variant) == (manifest, variant):
                # What was unloaded is none to go back to at once: its files are looked at anew.
                answers = live is self._running.get(model)
                return live if answers or live.sleeper is None or live.sleeper.awake else None
        return None

    def switch(self, live: Live) -> None:
        """Let ``live`` answer from the next request on."""
        if live.place is not None:
            live.place.begin()
        old = self._running.get(live.model)
        self._running[live.model] = live
        before = self._previous.pop(live.model, None)
        if old is not None and _free_bytes() >= self._reserve:
            self._previous[live.model] = old
        self._count(live, old, before)

    def remove(self, model: str) -> None:
        self._count(None, self._running.pop(model, None), self._previous.pop(model, None))

    def _count(self, new: Live | None, *others: Live | None) -> None:
        """Let ``new`` take memory; of ``others``, those that still answer or may do so again."""
        kept = {id(one.lane) for one in (*self._running.values(), *self._previous.values())}
        for one in others:
            if one is not None and one.sleeper is not None and id(one.lane) not in kept:
                self._residents.forget(one.sleeper)
        if new is not None and new.sleeper is not None:
            self._residents.admit(new.sleeper)


def _free_bytes() -> int:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:  # it is hidden from this process: nothing is known to be free
        return 0
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _answers(about: Description) -> "Answers | None":
    """Return what counts the answers of a release that can say how they should be."""
    if about.baseline is None:
        return None
    from littoral_serve.running.answers import counting  # a model that was named has no baseline

    return counting(about.baseline, about.outputs)
