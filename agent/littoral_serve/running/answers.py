"""Counts what a release answers, in the bins of its baseline. littoral.wire.drift says which.

A request only leaves its outputs here, which takes a tenth of a microsecond; they are counted
many at a time, when the loop has a moment. Judges nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np

from littoral.bundle.baseline import Baseline
from littoral.bundle.manifest import Tensor
from littoral.model import tensors
from littoral.model.backends import Array
from littoral.wire import drift
from littoral.wire.sketch import Sketch

_AT_ONCE: Final = 128  # outputs: as many as are kept alive
_MOST_BYTES: Final = 64 * 1024  # of one output: a mask is no answer that ranks

Count = Callable[[Array], dict[drift.Kind, Array]]


class Answers:
    """Of one release, in the open window."""

    __slots__ = ("_count", "_counted", "_kept", "_scheduled", "_spec")

    def __init__(self, spec: Tensor, count: Count) -> None:
        self._spec, self._count = spec, count
        self._kept: list[Array] = []
        self._counted: dict[drift.Kind, Counter[int]] = {}
        self._scheduled = False

    def add(self, outputs: tuple[Array, ...]) -> None:
        """Keep the stored outputs of one request, or of one batch of it, for being counted."""
        self._kept.append(outputs[0])
        if len(self._kept) >= _AT_ONCE and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._fold)

    def close(self) -> dict[drift.Kind, Sketch]:
        """Return the counts of this window, and begin the next one."""
        self._fold()
        found, self._counted = self._counted, {}
        return {kind: drift.carried(counts) for kind, counts in found.items()}

    def _fold(self) -> None:
        self._scheduled = False
        kept, self._kept = self._kept, []
        if not kept:
            return
        rows = np.concatenate([one.reshape(-1, *self._spec.shape[1:]) for one in kept])
        for kind, bins in self._count(tensors.dequantize(rows, self._spec)).items():
            numbers, counts = np.unique(bins, return_counts=True)
            into = self._counted.setdefault(kind, Counter())
            for number, n in zip(numbers.tolist(), counts.tolist(), strict=True):
                into[number] += n


def counting(baseline: Baseline, outputs: tuple[Tensor, ...]) -> Answers | None:
    """Return what counts answers by ``baseline``; None where there is nothing to compare."""
    if not outputs or not outputs[0].shape:
        return None
    spec = outputs[0]
    if np.prod(spec.shape) * np.dtype(spec.dtype).itemsize > _MOST_BYTES:
        return None
    kinds = {one.kind for one in drift.expected(baseline)}
    if "classes" in kinds:
        return Answers(spec, _ranked(baseline))
    if "values" in kinds:
        return Answers(spec, _valued(baseline))
    return None


def _ranked(baseline: Baseline) -> Count:
    edges = np.asarray(baseline.confidence.edges[1:-1] if baseline.confidence else ())

    def count(rows: Array) -> dict[drift.Kind, Array]:
        flat = rows.reshape(len(rows), -1)
        classes = flat.argmax(axis=1)
        found: dict[drift.Kind, Array] = {"classes": np.minimum(classes, drift.LAST_CLASS)}
        if edges.size:
            largest = flat[np.arange(len(flat)), classes]
            found["confidence"] = np.searchsorted(edges, largest, side="right")
        return found

    return count


def _valued(baseline: Baseline) -> Count:
    edges = np.asarray(drift.value_edges(baseline))
    turn = 0

    def count(rows: Array) -> dict[drift.Kind, Array]:
        # One element of each answer, by turns: those of one answer say the same again.
        nonlocal turn
        flat = rows.reshape(len(rows), -1)
        columns = (turn + np.arange(len(flat))) % flat.shape[1]
        turn += len(flat)
        return {"values": np.searchsorted(edges, flat[np.arange(len(flat)), columns], "right")}

    return count
