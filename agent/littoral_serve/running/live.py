"""The releases that answer requests. All of it happens on the loop, but loading and warming.

A request takes the Live that it finds and ends on it; a switch is one assignment between two
requests. The release before it stays loaded where memory allows, so that going back is at once.
"""

import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from littoral.bundle.manifest import Tensor, check_id
from littoral.errors import BackendError, MisuseError, StorageError
from littoral.model import tensors
from littoral.model.backends import Session, backend_for, open_session
from littoral.tree import Tree
from littoral_serve.running import release
from littoral_serve.running.lane import Bounds, Lane
from littoral_serve.running.runners import runner
from littoral_serve.running.signatures import Signature, batch_size, signatures
from littoral_serve.running.timings import Meter

_WARM_UPS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How releases are run here."""

    threads: int = 1
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is said of a release that is loaded."""

    model: str
    release: int
    label: str
    manifest: str  # its sha256
    variant: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Live:
    """One loaded release, and what it has done since it was switched in."""

    def __init__(self, told: Told, lane: Lane) -> None:
        self.told, self.lane = told, lane
        self.model, self.release, self.label = told.model, told.release, told.label
        self.manifest, self.variant = told.manifest, told.variant
        self.inputs, self.outputs = told.inputs, told.outputs
        self.signatures: Mapping[str, Signature] = signatures(told.inputs, told.outputs)
        self.batch = batch_size(told.inputs, told.outputs)
        self.meter = Meter(told.model, release=told.release, variant=told.variant)
        self.since_ms = int(time.time() * 1000)

    def again(self) -> "Live":
        """Return this release as newly switched in: same queue, counts from zero."""
        return Live(self.told, self.lane)


def make(session: Session, told: Told, how: How) -> Live:
    """Return ``session`` warmed, with what runs it and a queue of its own. Raises BackendError."""
    fastest_ns = warm(session, told.inputs)
    size = batch_size(told.inputs, told.outputs)
    one = runner(session, fastest_ns=fastest_ns)
    return Live(told, Lane(one, model=told.model, size=size, bounds=how.bounds))


class Models:
    """By name, the release that answers, and the one before it."""

    def __init__(self, *, keep_previous_free_bytes: int) -> None:
        self._running: dict[str, Live] = {}
        self._previous: dict[str, Live] = {}
        self._reserve = keep_previous_free_bytes

    def get(self, model: str) -> Live | None:
        return self._running.get(model)

    def __iter__(self) -> Iterator[Live]:
        return iter(tuple(self._running.values()))

    def held(self, model: str, *, manifest: str, variant: str) -> Live | None:
        """Return that release if it is loaded, answering or not."""
        for live in (self._running.get(model), self._previous.get(model)):
            if live is not None and (live.manifest, live.variant) == (manifest, variant):
                return live
        return None

    def switch(self, live: Live) -> None:
        """Let ``live`` answer from the next request on."""
        old = self._running.get(live.model)
        self._running[live.model] = live
        self._previous.pop(live.model, None)
        if old is not None and _free_bytes() >= self._reserve:
            self._previous[live.model] = old

    def remove(self, model: str) -> None:
        self._running.pop(model, None)
        self._previous.pop(model, None)


def load(tree: Tree, *, model: str, manifest: str, variant: str, how: How) -> Live:
    """Return a release from ``tree``, verified, loaded and warmed. Takes its time.

    Raises:
        HashError: A file holds other bytes than were signed.
        MalformedError: The manifest is another model's, or has no such variant.
        StorageError: A file is not there.
        BackendError: The runtime refuses the model, or it is not as the manifest says.

    """
    told = release.read_manifest(tree, manifest, model=model)
    chosen = told.variant(variant)
    data = release.read_file(tree, told, chosen.files[0])
    session = open_session(backend_for(chosen), data, threads=how.threads)
    match_specs(session, told.inputs, told.outputs)
    return make(
        session,
        Told(
            model=model,
            release=told.release,
            label=told.label,
            manifest=manifest,
            variant=variant,
            inputs=told.inputs,
            outputs=told.outputs,
        ),
        how,
    )


def load_file(model: str, path: Path, *, how: How) -> Live:
    """Return the .tflite file ``path`` as release 1 of ``model``. Raises as ``load``."""
    try:
        check_id("model", model)
    except ValueError as e:
        raise MisuseError(str(e)) from e
    try:
        data = path.read_bytes()
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
    session = open_session("litert", data, threads=how.threads)
    return make(
        session,
        Told(
            model=model,
            release=1,
            label="1",
            manifest=hashlib.sha256(data).hexdigest(),
            variant="local",
            inputs=session.inputs,
            outputs=session.outputs,
        ),
        how,
    )


def warm(session: Session, inputs: tuple[Tensor, ...]) -> int:
    """Run on zeros, so that the first request finds everything in its place; return the least ns.

    A trial does it, too: what never ends on zeros may do so there, and not here.
    """
    zeros = [tensors.quantize(np.zeros(spec.shape), spec) for spec in inputs]
    took = []
    for _ in range(_WARM_UPS):
        start = time.perf_counter_ns()
        session.run(*zeros)
        took.append(time.perf_counter_ns() - start)
    return min(took)


def match_specs(session: Session, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    """Do nothing if the model in ``session`` is what its manifest says; names are the manifest's.

    Raises:
        BackendError: It is another.

    """
    for what, found, told in (
        ("input", session.inputs, inputs),
        ("output", session.outputs, outputs),
    ):
        if len(found) != len(told):
            raise BackendError(
                f"the manifest names {len(told)} {what}s, the model has {len(found)}"
            )
        for ours, theirs in zip(found, told, strict=True):
            if not _same(ours, theirs):
                raise BackendError(
                    f"{what} {theirs.name!r}: the manifest says {_words(theirs)}, "
                    f"the model has {_words(ours)}"
                )


def _same(a: Tensor, b: Tensor) -> bool:
    plain = (a.shape, a.dtype, a.zero_point) == (b.shape, b.dtype, b.zero_point)
    return plain and math.isclose(a.scale, b.scale, rel_tol=1e-6)


def _words(spec: Tensor) -> str:
    return f"{spec.dtype} {list(spec.shape)}, scale {spec.scale:g}, zero point {spec.zero_point}"


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
