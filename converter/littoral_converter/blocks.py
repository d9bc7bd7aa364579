"""Where a frame is best cut into blocks, each of which zstd gives a code of its own.

zstd cuts by itself, but cannot know that behind a layer's differences come the next layer's,
which are twice as wide, or the first bytes of scales. What a block costs is told from how often
each byte is in it, and the cheapest of all cuttings is found.
"""

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle import frames

_GRID: Final = 2**11  # bytes: a block is a multiple of it
_MOST: Final = 2**17 - _GRID  # zstd itself ends one at 128 KiB
# Bytes that a block's code takes, about: fixed, and for each byte's value. It is some 24 and 0.3;
# with more there are a fifth as many blocks, of hardly more bytes, and each takes time to begin.
_CODE: Final = 160, 0.3


def compress(plain: bytes, reach: bytes = b"") -> bytes:
    """Return ``plain`` as one frame, in the fewest bytes of several ways.

    As zstd cuts it, or in the best blocks; these with what repeats, or as if nothing did.
    """
    blocks = [plain[at:end] for at, end in pairwise(best(plain))]
    ways = (
        frames.compress(plain, blocks=blocks, repeats=False),
        frames.compress(plain, reach, blocks=blocks),
        frames.compress(plain, reach),
    )
    return min(ways, key=len)


def best(plain: bytes) -> list[int]:
    """Return where the blocks of ``plain`` begin, and its end."""
    grid = [*range(0, len(plain), _GRID), len(plain)]
    counts = np.zeros((len(grid), 256), np.int64)
    for k, (at, end) in enumerate(pairwise(grid)):
        counts[k + 1] = counts[k] + np.bincount(
            np.frombuffer(plain, np.uint8, end - at, at), minlength=256
        )
    least, before = np.zeros(len(grid)), [0] * len(grid)
    for k in range(1, len(grid)):
        first = max(0, k - _MOST // _GRID)
        costs = least[first:k] + _costs(counts[k] - counts[first:k])
        before[k] = first + int(np.argmin(costs))
        least[k] = costs[before[k] - first]
    edges = [len(grid) - 1]
    while edges[-1]:
        edges.append(before[edges[-1]])
    return [grid[k] for k in reversed(edges)]


def _costs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each row, how often each byte is in a block, in how many bytes it travels."""
    total = counts.sum(axis=1, keepdims=True)
    bits = -(counts * np.log2(np.maximum(counts, 1) / total)).sum(axis=1)
    fixed, each = _CODE
    return np.asarray(bits / 8 + fixed + each * (counts > 0).sum(axis=1))
