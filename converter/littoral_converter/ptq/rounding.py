"""How weights are rounded: so that a layer's output errs least, not each weight on its own.

Each weight's rounding error is made good in the weights of its row that are not yet rounded
(GPTQ: Frantar and others, 2023), for the inputs that the quantized layers before it really
give. Rules only: rows and inputs in, rows on the grid out.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

TOP: Final = 127  # of a weight's grid, both ways
_DAMPING: Final = 0.001  # of the mean moment: keeps the inverse sane where inputs never vary
_DOUBT: Final = 0.05  # of it, where as many places as taps were seen: they may be chance


def grid(rows: Floats, *, per_channel: bool) -> Floats:
    """Return the step of each row, as [outputs, 1]."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not per_channel:
        largest = np.full_like(largest, largest.max())
    return np.asarray(np.maximum(largest, 1e-8) / TOP, np.float32)


def nearest(rows: Floats, step: Floats) -> Floats:
    """Return ``rows`` with each weight rounded on its own."""
    return np.asarray(np.clip(np.round(rows / step), -TOP, TOP) * step, np.float32)


def on_grid(rows: Floats, moments: NDArray[np.float64], step: Floats, *, seen: int) -> Floats:
    """Return ``rows`` rounded to ``step``, errors made good along each row.

    ``moments`` is the inputs' [taps, taps], learned from ``seen`` places. The largest weight of
    a row stays the largest there can be: who looks for it finds the same step again.
    """
    taps = len(moments)
    mean = float(np.trace(moments)) / taps
    if not mean > 0:  # the input never varies: nothing can be made good
        return nearest(rows, step)
    order = np.argsort(-np.diag(moments), kind="stable")  # what matters most is rounded first
    damped = moments[np.ix_(order, order)]
    damped = damped + (_DAMPING + _DOUBT * taps / seen) * mean * np.eye(taps)
    found = np.empty_like(rows)
    found[:, order] = _in_order(rows[:, order], damped, step)
    return found


def _in_order(rows: Floats, moments: NDArray[np.float64], step: Floats) -> Floats:
    upper = np.linalg.cholesky(np.linalg.inv(moments)).T
    left, done = rows.astype(np.float64), np.zeros(rows.shape)
    largest = np.abs(rows).argmax(axis=1)
    pinned = np.isclose(np.abs(rows).max(axis=1) / step[:, 0], TOP, rtol=1e-4)
    for k in range(len(moments)):
        stored = np.clip(np.round(left[:, k] / step[:, 0]), -TOP, TOP)
        held = pinned & (largest == k)
        stored[held] = TOP * np.sign(rows[held, k])
        done[:, k] = stored
        error = (left[:, k] - stored * step[:, 0]) / upper[k, k]
        left[:, k + 1 :] -= error[:, None] * upper[k, k + 1 :]
    return np.asarray(done * step, np.float32)
