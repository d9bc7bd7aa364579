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
_BLOCK: Final = 64  # taps whose errors are passed on together: the same sum, in fewer walks
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
    a row stays the largest there can be: who looks for it finds the same step again. All three
    may be stacks of such, along one axis more in front.
    """
    if moments.ndim == 2:  # noqa: PLR2004 (one matrix, not a stack)
        alone: Floats = on_grid(rows[None], moments[None], step[None], seen=seen)[0]
        return alone
    taps = moments.shape[-1]
    mean = np.trace(moments, axis1=1, axis2=2) / taps
    found = nearest(rows, step)  # where an input never varies, nothing can be made good
    some = mean > 0
    if not some.any():
        return found
    rows, moments, step = rows[some], moments[some], step[some]
    weights = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(-weights, axis=1, kind="stable")  # what matters most is rounded first
    damping = (_DAMPING + _DOUBT * taps / seen) * mean[some]
    sorted_moments = np.take_along_axis(
        np.take_along_axis(moments, order[:, :, None], axis=1), order[:, None, :], axis=2
    )
    damped = sorted_moments + damping[:, None, None] * np.eye(taps)
    across = np.broadcast_to(order[:, None, :], rows.shape)
    done = np.empty_like(rows)
    rounded = _in_order(np.take_along_axis(rows, across, axis=2), damped, step)
    np.put_along_axis(done, across, rounded, axis=2)
    found[some] = done
    return found


def _in_order(rows: Floats, moments: NDArray[np.float64], step: Floats) -> Floats:
    upper = np.linalg.cholesky(np.linalg.inv(moments)).swapaxes(1, 2)
    left, done = rows.astype(np.float64), np.zeros(rows.shape)
    largest, each = np.abs(rows).argmax(axis=2), step[..., 0]
    pinned = np.isclose(np.abs(rows).max(axis=2) / each, TOP, rtol=1e-4)
    taps = rows.shape[2]
    for start in range(0, taps, _BLOCK):
        end = min(start + _BLOCK, taps)
        errors = np.zeros((*rows.shape[:2], end - start))
        for k in range(start, end):
            stored = np.clip(np.round(left[..., k] / each), -TOP, TOP)
            held = pinned & (largest == k)
            stored[held] = TOP * np.sign(rows[..., k][held])
            stored[rows[..., k] == 0] = 0  # pruned on purpose: no neighbour's error wakes it
            done[..., k] = stored
            error = (left[..., k] - stored * each) / upper[:, k, k, None]
            left[..., k + 1 : end] -= error[..., None] * upper[:, k, None, k + 1 : end]
            errors[..., k - start] = error
        left[..., end:] -= errors @ upper[:, start:end, end:]  # the others hear of it at once
    return np.asarray(done * step, np.float32)
