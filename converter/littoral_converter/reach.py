"""Which parts of the base a piece's new bytes may refer to, where the base is too large for all."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.patch import REACH, Range
from littoral_converter import blocks

_BLOCK: Final = 2**14  # a reach is made of blocks of this size
_GRAM: Final = 8  # bytes that must be equal to count as one trace
_INDEXED: Final = 2**24  # places that are kept; of a larger base one of two, of three …
_PART: Final = 2**20  # bytes that are looked at together
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)  # makes neighbours of numbers no neighbours
_TOP: Final = np.uint64(40)
_TRACES: Final = 64  # that a block has at least: a device reads it whole, and few save nothing
_COMMON: Final = 16  # places in the base; what is at more of them, as zeros are, tells nothing


class Base:
    """The bytes of a base, and where in it each eight neighbouring bytes are."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._every = -(-len(data) // _INDEXED)

    def read(self, reach: tuple[Range, ...]) -> bytes:
        return b"".join(self._data[at : at + size] for at, size in reach)

    def reach(self, new: bytes) -> tuple[Range, ...]:
        """Return the reach with which ``new`` takes fewest bytes; an empty one if none helps."""
        reach = self.likely(new)
        if not reach:
            return ()
        alone, helped = (len(blocks.compress(new, w)) for w in (b"", self.read(reach)))
        return reach if helped + 4 * len(reach) < alone else ()

    def likely(self, new: bytes) -> tuple[Range, ...]:
        """Return the blocks that share most with ``new``, in order, neighbours as one."""
        if len(self._data) <= REACH:
            return ((0, len(self._data)),) if self._data else ()
        counts = np.bincount(self._places(new) // _BLOCK)
        best = np.argsort(-counts, kind="stable")[: REACH // _BLOCK]
        reach: list[Range] = []
        for k in sorted(int(k) for k in best if counts[k] >= _TRACES):
            at, size = k * _BLOCK, min(_BLOCK, len(self._data) - k * _BLOCK)
            if reach and sum(reach[-1]) == at:
                reach[-1] = (reach[-1][0], reach[-1][1] + size)
            else:
                reach.append((at, size))
        return tuple(reach)

    def _places(self, new: bytes) -> NDArray[np.int64]:
        """Return where in the base something of ``new`` is."""
        order, ordered = self._index
        wanted = np.sort(_grams(new, self._every)[1])  # np.unique takes ten times as long
        wanted = wanted[np.append(True, wanted[1:] != wanted[:-1])[: len(wanted)]]
        first, behind = (np.searchsorted(ordered, wanted, side) for side in ("left", "right"))
        first, many = first[behind - first <= _COMMON], (behind - first)[behind - first <= _COMMON]
        steps = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        return np.asarray(order[np.repeat(first, many) + steps])

    @cached_property
    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        places, grams = _grams(self._data, self._every)
        order = np.argsort(grams, kind="stable")
        return places[order], grams[order]


def _grams(data: bytes, every: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return every eight neighbouring bytes as one number, and where: one of ``every`` numbers."""
    if len(data) < _GRAM:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), _GRAM)
    if every <= 1:
        grams = np.ascontiguousarray(windows).view("<u8").ravel()
        return np.arange(len(grams)), grams
    parts = []
    for at in range(0, len(windows), _PART):
        grams = np.ascontiguousarray(windows[at : at + _PART]).view("<u8").ravel()
        kept = np.flatnonzero((grams * _SPREAD >> _TOP) % np.uint64(every) == 0)
        parts.append((at + kept, grams[kept]))
    return np.concatenate([p for p, _ in parts]), np.concatenate([g for _, g in parts])
