"""Boxes as arrays: how much two share, and which are left of those that show one thing.

A box is [top, left, bottom, right], as fractions of whatever they are all of.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.model.tasks.answers import Floats

Numbers = NDArray[np.int64]

SHARE: Final = 0.6  # of their area: two boxes of one class that have more in common are one thing
_CANDIDATES: Final = 3000  # the surest: what a hostile model makes of a picture stays bounded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    corners: Floats  # [n, 4]
    classes: Numbers  # [n]
    scores: Floats  # [n]

    def take(self, which: Numbers) -> "Boxes":
        return Boxes(
            corners=self.corners[which], classes=self.classes[which], scores=self.scores[which]
        )

    def surest(self, *, most: int, least: float) -> "Boxes":
        """Return those with a score of at least ``least``, the surest first, ``most`` of them."""
        there = np.isfinite(self.corners).all(axis=1)
        sure = np.flatnonzero((self.scores >= least) & there)
        return self.take(sure[np.argsort(-self.scores[sure], kind="stable")[:most]])


def thinned(boxes: Boxes, *, most: int, least: float, share: float = SHARE) -> Boxes:
    """Return the surest of those of one class that lie over one another (NMS)."""
    left = boxes.surest(most=_CANDIDATES, least=least)
    kept: list[int] = []
    order = np.arange(len(left.scores))
    while len(order) and len(kept) < most:
        first, order = int(order[0]), order[1:]
        kept.append(first)
        over = shares(left.corners[first], left.corners[order]) > share
        order = order[~(over & (left.classes[order] == left.classes[first]))]
    return left.take(np.asarray(kept, np.int64))


def shares(box: Floats, others: Floats) -> Floats:
    """Return what ``box`` and each of ``others`` have in common, as a part of both together."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=1)
    whole = _area(box[None])[0] + _area(others) - common
    found: Floats = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return found


def middled(middles: Floats, sizes: Floats) -> Floats:
    """Return the corners of boxes told by [y, x] and [height, width]."""
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)


def _area(boxes: Floats) -> Floats:
    found: Floats = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    return found
