"""The self-test: golden inputs and outputs, what running them gives and costs, and the verdict.

``measure`` runs a model and tells figures; ``judge`` holds them against the manifest's
tolerance and budgets. Time is CPU time, because wall time doubles while a board is busy.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from littoral.bundle.manifest import Selftest, Tensor
from littoral.errors import (
    LatencyError,
    MalformedError,
    MemoryBudgetError,
    OutputsError,
    TrialError,
)
from littoral.model import tensors
from littoral.model.backends.base import Array, Session
from littoral.resident import peak_bytes
from littoral.wire.control import Tried

Sample = tuple[Array, ...]

_WARM_UPS: Final = 5
_MOST: Final = 1000  # invokes: the p95 of 200 (a round) rests on the ten slowest
_LEAST: Final = 10
_ENOUGH_S: Final = 1.25  # of CPU time
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How far the outputs lie from the golden ones, and what a run costs."""

    max_abs: float  # in real units
    top1: float  # fraction of samples whose largest output is the golden one
    p95_cpu_us: float
    peak_bytes: int | None  # what loading and running added to the process; None: unknown here


def pack(samples: Sequence[Sequence[Array]]) -> bytes:
    """Return ``samples`` of stored tensors as the bytes of a golden file."""
    return b"".join(
        np.ascontiguousarray(t).astype(t.dtype.newbyteorder("<"), copy=False).tobytes()
        for sample in samples
        for t in sample
    )


def unpack(data: bytes, specs: Sequence[Tensor], *, count: int) -> list[Sample]:
    """Read what ``pack`` wrote.

    Raises:
        MalformedError: There are more or fewer bytes than ``count`` samples have.

    """
    dtypes = [np.dtype(spec.dtype).newbyteorder("<") for spec in specs]
    sizes = [dtype.itemsize * _elements(spec) for dtype, spec in zip(dtypes, specs, strict=True)]
    if count < 1 or len(data) != count * sum(sizes):
        raise MalformedError(
            f"golden vectors: expected {count} samples of {sum(sizes)} bytes, "
            f"found {len(data)} bytes"
        )
    samples, at = [], 0
    for _ in range(count):
        sample = []
        for spec, dtype, size in zip(specs, dtypes, sizes, strict=True):
            flat = np.frombuffer(data, dtype, _elements(spec), at)
            sample.append(flat.reshape(spec.shape).astype(spec.dtype, copy=False))
            at += size
        samples.append(tuple(sample))
    return samples


def compare(
    found: Sequence[Sample], golden: Sequence[Sample], specs: Sequence[Tensor]
) -> tuple[float, float]:
    """Return the largest difference in real units, and the fraction of equal top-1.

    A NaN where the other has none is an infinite difference.
    """
    worst, equal = 0.0, 0
    for ours, theirs in zip(found, golden, strict=True):
        same = True
        for got, want, spec in zip(ours, theirs, specs, strict=True):
            tensors.check(got, spec)
            worst = max(worst, _distance(got, want, spec))
            same = same and int(np.argmax(got)) == int(np.argmax(want))
        equal += same
    return worst, equal / len(golden)


def measure(
    session: Session,
    inputs: Sequence[Sample],
    golden: Sequence[Sample],
    *,
    before_bytes: int | None = None,
    clock: Callable[[], int] = time.thread_time_ns,
) -> Figures:
    """Run ``session`` on all ``inputs`` once, compare with ``golden``, then time it.

    ``before_bytes`` is ``resident_bytes()`` from before the model was loaded. The session must
    use one thread, this one: its clock is exact, where a process with a limit on its CPU time
    has one that goes by ticks of 4 ms. Where an accelerator does the work, ``clock`` is the wall's.

    Raises:
        BackendError: The model fails.

    """
    found = [session.run(*sample) for sample in inputs]
    max_abs, top1 = compare(found, golden, session.outputs)
    for k in range(_WARM_UPS):
        session.run(*inputs[k % len(inputs)])
    spent: list[int] = []
    while not enough(spent):
        sample = inputs[len(spent) % len(inputs)]
        start = clock()
        session.run(*sample)
        spent.append(clock() - start)
    peak = peak_bytes()
    added = None if peak is None or before_bytes is None else max(0, peak - before_bytes)
    return Figures(max_abs=max_abs, top1=top1, p95_cpu_us=p95(spent), peak_bytes=added)


def enough(spent_ns: Sequence[int]) -> bool:
    """Tell whether these invokes suffice for a p95, or a slow model has had its time."""
    if len(spent_ns) < _LEAST:
        return False
    return len(spent_ns) >= _MOST or sum(spent_ns) >= _ENOUGH_S * 1e9


def p95(spent_ns: Sequence[int]) -> float:
    """Return the p95 in µs, the median of several rounds': what disturbs one is not the model's."""
    rounds = _ROUNDS if len(spent_ns) >= _ROUNDS * _LEAST else 1
    parts = np.array_split(spent_ns, rounds)
    return float(np.median([np.percentile(part, 95, method="higher") for part in parts])) / 1e3


def judge(figures: Figures, selftest: Selftest, *, hardware: str) -> None:
    """Do nothing if ``figures`` lie within what ``selftest`` allows on ``hardware``.

    Raises:
        OutputsError: Other outputs than the golden ones.
        LatencyError: Slower than the budget.
        MemoryBudgetError: Larger than the budget.

    """
    allowed = selftest.tolerance
    if not figures.max_abs <= allowed.max_abs or figures.top1 < allowed.min_top1:
        raise OutputsError(
            f"outputs differ from the golden ones by up to {figures.max_abs:.6g} (allowed: "
            f"{allowed.max_abs:.6g}); {figures.top1:.1%} have the same top-1 "
            f"(needed: {allowed.min_top1:.1%})"
        )
    budget_us = selftest.p95_cpu_us.get(hardware)
    if budget_us is not None and figures.p95_cpu_us > budget_us:
        raise LatencyError(p95_us=figures.p95_cpu_us, budget_us=budget_us)
    if figures.peak_bytes is not None and 0 < selftest.memory_bytes < figures.peak_bytes:
        raise MemoryBudgetError(
            f"the model adds {figures.peak_bytes} bytes; the budget is {selftest.memory_bytes}"
        )


def verdict(figures: Figures, selftest: Selftest, *, hardware: str) -> Tried:
    """Return what ``judge`` says, as serve tells it to the agent."""
    code, detail = None, ""
    try:
        judge(figures, selftest, hardware=hardware)
    except TrialError as e:
        code, detail = e.code, str(e)
    return Tried(
        code=code,
        detail=detail,
        p95_cpu_us=figures.p95_cpu_us,
        peak_bytes=figures.peak_bytes,
        max_abs=figures.max_abs if math.isfinite(figures.max_abs) else None,
        top1=figures.top1,
    )


def _elements(spec: Tensor) -> int:
    return int(np.prod(spec.shape, dtype=np.int64))


def _distance(got: Array, want: Array, spec: Tensor) -> float:
    """Return the largest difference in real units, of what is stored: nothing is rounded away."""
    a, b = got.astype(np.float64), want.astype(np.float64)
    both_nan = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        apart = np.where(both_nan | (got == want), 0.0, np.abs(a - b))
    if not np.issubdtype(got.dtype, np.floating):
        apart = np.where(got == want, 0.0, np.maximum(apart, 1.0))  # beyond 2^53, too
    apart = apart * spec.scale if tensors.is_quantized(spec) else apart
    return float(np.max(np.nan_to_num(apart, nan=np.inf, posinf=np.inf), initial=0.0))
