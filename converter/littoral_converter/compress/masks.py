"""Which weights are pruned: masks by magnitude, free or in a structure. NumPy only, and no clock.

A mask is 1.0 where a weight stays. Weights come as matrices, [inputs, outputs]: what a
layer's kernel is once whatever is summed over is one axis.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FOUR: Final = 4  # the group of 2:4
BLOCK: Final = (1, 4)  # inputs, outputs: four outputs of one input lie side by side
_CUBIC: Final = 3


def ramp(done: float, *, until: float) -> float:
    """Return which part of the sparsity is due when the part ``done`` of the training is over.

    Fast at first, while there is much that nobody misses, and slow towards the end.
    """
    if until <= 0 or done >= until:
        return 1.0
    return 1.0 - float((1.0 - done / until) ** _CUBIC)


def by_magnitude(
    weights: Mapping[str, Floats], sparsity: float, *, together: bool
) -> dict[str, Floats]:
    """Return masks without the smallest weights: of each layer, or of all ``together``."""
    return _smallest({name: np.abs(w) for name, w in weights.items()}, sparsity, together=together)


def by_block(
    weights: Mapping[str, Floats], sparsity: float, *, together: bool, block: tuple[int, int]
) -> dict[str, Floats]:
    """Return masks of whole blocks of ``block`` inputs and outputs; at edges they are smaller."""
    scores = {name: _blocks(np.abs(w), block) for name, w in weights.items()}
    masks = _smallest(scores, sparsity, together=together)
    return {
        name: np.kron(mask, np.ones(block, np.float32))[: w.shape[0], : w.shape[1]]
        for (name, w), mask in zip(weights.items(), masks.values(), strict=True)
    }


def two_of_four(weights: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return masks that keep the two largest of each four inputs that follow one another.

    A layer whose inputs cannot be divided by four has no such groups, and is not in the answer.
    """
    masks = {}
    for name, w in weights.items():
        if len(w) % FOUR:
            continue
        groups = np.abs(w).reshape(-1, FOUR, w.shape[1])
        # Stable: equal weights fall in the order they stand, on every machine.
        order = np.argsort(-groups, axis=1, kind="stable")
        mask = np.zeros(groups.shape, np.float32)
        np.put_along_axis(mask, order[:, : FOUR // 2], 1.0, axis=1)
        masks[name] = mask.reshape(w.shape)
    return masks


def _smallest(
    scores: Mapping[str, Floats], sparsity: float, *, together: bool
) -> dict[str, Floats]:
    if not together:
        return {name: _without(score, sparsity) for name, score in scores.items()}
    flat = np.concatenate([score.ravel() for score in scores.values()])
    kept, at, masks = _without(flat, sparsity), 0, {}
    for name, score in scores.items():
        mask = kept[at : at + score.size].reshape(score.shape)
        masks[name] = mask if mask.any() else _without(score, 1 - 1 / score.size)
        at += score.size
    return masks


def _without(score: Floats, sparsity: float) -> Floats:
    """Return a mask without the lowest part; exactly that many, however many are equal."""
    mask = np.ones(score.size, np.float32)
    mask[np.argsort(score, axis=None, kind="stable")[: round(sparsity * score.size)]] = 0.0
    return mask.reshape(score.shape)


def _blocks(magnitudes: Floats, block: tuple[int, int]) -> Floats:
    """Return the mean magnitude of each block; what lies beyond an edge counts for nothing."""
    shape = [-(-size // step) for size, step in zip(magnitudes.shape, block, strict=True)]
    padded = np.full([n * step for n, step in zip(shape, block, strict=True)], np.nan)
    padded[: magnitudes.shape[0], : magnitudes.shape[1]] = magnitudes
    tiles = padded.reshape(shape[0], block[0], shape[1], block[1])
    return np.asarray(np.nanmean(tiles, axis=(1, 3)), np.float32)
