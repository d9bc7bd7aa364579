"""Which weights become one: k-means along a line, the same for the same weights. NumPy only."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROUNDS: Final = 50


def assign(weights: NDArray[np.float32], count: int) -> NDArray[np.int32]:
    """Return the cluster of each weight, in the shape of ``weights``.

    A weight that is exactly 0 belongs to cluster 0, which holds nothing else: what is pruned stays
    so. At most ``count`` clusters are used, that one among them.
    """
    flat = weights.ravel()
    clusters = np.zeros(flat.size, np.int32)
    alive = flat != 0
    if alive.any():
        sparse = not alive.all()
        found = _nearest(flat[alive], _centres(flat[alive], count - sparse))
        clusters[alive] = found + 1
    return clusters.reshape(weights.shape)


def _centres(values: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Return centres by Lloyd's rounds, begun at equal steps from the least to the greatest.

    Large weights are few and matter most: centres begun where weights are dense would miss them.
    """
    line = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(line)])
    centres = np.linspace(line[0], line[-1], count)
    for _ in range(_ROUNDS):
        edges = np.searchsorted(line, (centres[1:] + centres[:-1]) / 2)
        edges = np.concatenate([[0], edges, [len(line)]])
        sizes = np.diff(edges)
        means = np.divide(np.diff(sums[edges]), sizes, out=centres.copy(), where=sizes > 0)
        if np.allclose(means, centres, rtol=0, atol=1e-12):
            break
        centres = means
    return centres


def _nearest(values: NDArray[np.float32], centres: NDArray[np.float64]) -> NDArray[np.int32]:
    edges = (centres[1:] + centres[:-1]) / 2
    return np.searchsorted(edges, values.astype(np.float64)).astype(np.int32)
