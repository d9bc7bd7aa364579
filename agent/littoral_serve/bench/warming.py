"""When a model is warm: caches are filled, pages are there, the clock of the processor is up.

Blocks of inferences are measured until five in a row are alike.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from littoral_serve.bench.result import WarmUp
from littoral_serve.bench.scenarios import Times

BLOCK_S: Final = 0.1
LEAST_OF_A_BLOCK: Final = 5
MOST_S: Final = 10.0  # nor longer than it is measured then, …
LEAST_S: Final = 0.5  # … but for so long
_ALIKE: Final = 5  # blocks
_WITHIN: Final = 1.05


def stable(medians: Sequence[float]) -> bool:
    """Tell whether the last blocks' medians lie close to each other."""
    last = medians[-_ALIKE:]
    return len(last) == _ALIKE and max(last) <= _WITHIN * min(last)


def warm(block: Callable[[], Times], *, most_s: float = MOST_S) -> WarmUp:
    """Measure blocks until they are alike, or for ``most_s``."""
    medians: list[float] = []
    count, spent_s = 0, 0.0
    while not stable(medians) and (spent_s < most_s or not medians):
        times = block()
        medians.append(float(np.median(times.latency)) / 1e3)
        count += len(times.latency)
        spent_s += times.elapsed_ns / 1e9
    return WarmUp(
        count=count,
        seconds=round(spent_s, 3),
        p50=round(medians[-1], 3),
        stable=stable(medians),
    )
