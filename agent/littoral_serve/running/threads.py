"""How many threads run a model: measured when it is loaded, because nothing else can tell.

More of them make most models faster on an idle board and every model slower on a busy one. So
one is enough until it was seen that it is not. Knows no release and no queue.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from littoral.bundle.manifest import Tensor
from littoral.model import tensors
from littoral.model.backends import Array, Session

Threads = int | Literal["auto"]

_WARM_UPS: Final = 3
_FAST_NS: Final = 1_000_000  # below it, handing work to a second thread takes what it saves
_LEAST: Final = 5  # runs by which a number of threads is judged, …
_MOST: Final = 30
_ENOUGH_NS: Final = 250_000_000  # … and the time for them
_PAYS: Final = 0.8  # of the time with half as many threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How long runs took with so many threads."""

    threads: int
    p50_ns: float
    p95_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session that is warm, with how many threads, and how long its fastest run took."""

    session: Session
    threads: int
    fastest_ns: int


def enough(last: Measured, *, budget_ns: float | None) -> bool:
    """Whether no more threads are to be tried: the budget is kept, or there is nothing to gain."""
    return last.p95_ns <= budget_ns if budget_ns is not None else last.p50_ns < _FAST_NS


def better(before: Measured, after: Measured) -> bool:
    """Whether ``after``, of more threads, is worth them: in its middle, and at its end."""
    return after.p50_ns <= _PAYS * before.p50_ns and after.p95_ns <= before.p95_ns


def steps(cores: int) -> list[int]:
    """Return the numbers of threads that are tried after one: doubled, up to all cores."""
    found = [2**k for k in range(1, cores.bit_length()) if 2**k <= cores]
    return [*found, cores] if cores > 1 and cores not in found else found


def opened(
    open_: Callable[[int], Session],
    inputs: Sequence[Tensor] | None,
    *,
    threads: Threads,
    budget_us: float | None = None,
    cores: int | None = None,
    rest_s: float = 0.0,
) -> Opened:
    """Return what ``open_`` gives for the threads that were chosen, warm.

    ``budget_us`` is what 95 of 100 runs may take: with it, the fewest threads that keep it. A
    session says itself what its ``inputs`` are where they are None. What else is served gets its
    turn in a rest after each step.

    Raises:
        BackendError: The runtime refuses the model, or it fails.

    """
    session = open_(1 if threads == "auto" else threads)
    fastest_ns = warm(session, inputs, rest_s=rest_s)
    if threads != "auto":
        return Opened(session=session, threads=threads, fastest_ns=fastest_ns)
    best = Opened(session=session, threads=1, fastest_ns=fastest_ns)
    if fastest_ns < _FAST_NS and budget_us is None:
        return best
    budget_ns = None if budget_us is None else budget_us * 1e3
    zeros = _zeros(session, inputs)
    seen = _measured(session, zeros, threads=1)
    for more in steps(cores or len(os.sched_getaffinity(0))):
        if enough(seen, budget_ns=budget_ns):
            break
        session = open_(more)
        fastest_ns = warm(session, inputs, rest_s=rest_s)
        now = _measured(session, zeros, threads=more)
        if not better(seen, now):
            break
        best, seen = Opened(session=session, threads=more, fastest_ns=fastest_ns), now
    return best


def warm(session: Session, inputs: Sequence[Tensor] | None, *, rest_s: float = 0.0) -> int:
    """Run on zeros, so that the first request finds everything in its place; return the least ns.

    A trial does it, too: what never ends on zeros may do so there, and not here.
    """
    zeros = _zeros(session, inputs)
    took: list[int] = []
    for _ in range(_WARM_UPS):
        _rest(rest_s)
        took.append(_run_ns(session, zeros))
    _rest(rest_s)
    return min(took)


def _rest(rest_s: float) -> None:
    # Python's sleep is until a moment, which a clock that was set by libfaketime never reaches.
    if rest_s:
        threading.Event().wait(rest_s)


def _zeros(session: Session, inputs: Sequence[Tensor] | None) -> list[Array]:
    return [tensors.quantize(np.zeros(one.shape), one) for one in inputs or session.inputs]


def _measured(session: Session, zeros: list[Array], *, threads: int) -> Measured:
    took: list[int] = []
    while len(took) < _LEAST or (len(took) < _MOST and sum(took) < _ENOUGH_NS):
        took.append(_run_ns(session, zeros))
    p50, p95 = np.percentile(took, [50, 95])
    return Measured(threads=threads, p50_ns=float(p50), p95_ns=float(p95))


def _run_ns(session: Session, zeros: list[Array]) -> int:
    start = time.perf_counter_ns()
    session.run(*zeros)
    return time.perf_counter_ns() - start
