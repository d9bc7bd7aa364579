"""Which range of real values an activation's 255 steps are spent on. Rules only.

The whole range wastes steps on rare extremes: everything else gets coarser. What is sought is
the range in which the error, cut ends and roundings together, does the least harm.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq.backend import LEVELS

Floats = NDArray[np.float32]

_SHRINK: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.35, 0.29, 0.24, 0.2, 0.16)
_FINE: Final = (0.9, 0.95, 1.0, 1.05, 1.1)


def whole(values: Floats) -> tuple[float, float]:
    """Return the least and the largest value; 0 always lies between."""
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)


def best(
    values: Floats, weights: Floats | None = None, *, added: Floats | None = None
) -> tuple[float, float]:
    """Return the range with the least squared error over ``values``, [n, channels].

    ``weights`` says how much an error in each channel matters. ``added`` is what is added to
    the values before a ReLU: errors that it swallows do no harm.
    """
    low, high = whole(values)
    if low == high:
        return low, high
    found = low, high

    def harm(limits: tuple[float, float]) -> float:
        error = errors(values, limits, added=added)
        return float(error.mean() if weights is None else (error * weights).sum())

    for shrink in (_SHRINK, _FINE):
        found = min(((found[0], found[1] * s) for s in shrink), key=harm)
        if low < 0:
            found = min(((found[0] * s, found[1]) for s in shrink), key=harm)
    return max(found[0], low), min(found[1], high)


def errors(values: Floats, limits: tuple[float, float], *, added: Floats | None = None) -> Floats:
    """Return the mean squared error of each channel."""
    real = rounded(values, limits)
    if added is None:
        found: Floats = np.square(real - values).mean(axis=0)
        return found
    before, after = np.maximum(values + added, 0), np.maximum(real + added, 0)
    swallowed: Floats = np.square(after - before).mean(axis=0)
    return swallowed


def rounded(values: Floats, limits: tuple[float, float]) -> Floats:
    """Return ``values`` as 255 steps between ``limits`` can tell them."""
    low, high = limits
    scale = max((high - low) / LEVELS, 1e-12)
    zero = np.round(-low / scale)
    stored = np.clip(np.round(values / scale) + zero, 0, LEVELS)
    real: Floats = ((stored - zero) * scale).astype(np.float32)
    return real
