"""SSD: the four outputs of its post-processing, or offsets from anchors and scores without it."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from littoral.errors import MalformedError
from littoral.model.backends import Array
from littoral.model.tasks.answers import Floats
from littoral.model.tasks.boxes import Boxes, middled, thinned
from littoral.model.tasks.layout import Shapes

_CORNERS: Final = 4
# Where classes, scores and their number stand, by where the corners do: as TensorFlow 1,
# TensorFlow 2 and the latter's signatures order them.
_ORDERS: Final = {0: (1, 2, 3), 1: (3, 0, 2), 3: (2, 1, 0)}
_LAYERS: Final = 6
_SCALES: Final = (0.2, 0.95)
_RATIOS: Final = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
_FIRST_STRIDE: Final = 16
_OFFSETS: Final = np.array([10, 10, 5, 5], np.float32)  # are so many times too large
_LOUD: Final = 20.0  # of the logarithm of a size: e to it is beyond any picture


def processed_order(shapes: Shapes) -> tuple[int, int, int, int] | None:
    """Return where corners, classes, scores and their number stand; None: it is not these."""
    if len(shapes) != _CORNERS:
        return None
    for at, (classes, scores, count) in _ORDERS.items():
        n = shapes[at][0] if shapes[at] else 0
        flat = shapes[classes] == shapes[scores] == (n,)
        if shapes[at] == (n, _CORNERS) and flat and math.prod(shapes[count]) == 1:
            return at, classes, scores, count
    return None


def processed(outputs: Sequence[Array], order: tuple[int, int, int, int]) -> Boxes:
    """Return the boxes that post-processing left. Raises MalformedError: they are none."""
    corners, classes, scores, count = (np.asarray(outputs[k], np.float32) for k in order)
    n = int(np.clip(np.nan_to_num(count.reshape(-1)[0]), 0, len(scores)))
    found = Boxes(
        corners=corners[:n], classes=np.rint(classes[:n]).astype(np.int64), scores=scores[:n]
    )
    if not bool(np.all((found.scores >= 0) & (found.scores <= 1.01) & (found.classes >= 0))):  # noqa: PLR2004
        raise MalformedError("detection: the outputs are not corners, classes, scores, number")
    return found


def raw_order(shapes: Shapes, side: tuple[int, int]) -> tuple[int, int] | None:
    """Return where offsets and scores stand, for an input of ``side``; None: it is not these."""
    if len(shapes) != 2:  # noqa: PLR2004
        return None
    n = len(anchors(*side))
    for offsets, scores in ((0, 1), (1, 0)):
        if shapes[offsets] == (n, _CORNERS) and shapes[scores][:1] == (n,):
            return (offsets, scores) if len(shapes[scores]) == 2 else None  # noqa: PLR2004
    return None


def raw(offsets: Array, scores: Array, *, side: tuple[int, int], most: int, least: float) -> Boxes:
    """Return what is left of the anchors' boxes. The first class is the background."""
    values: Floats = np.asarray(scores, np.float32)[:, 1:]
    if not bool(((scores >= 0) & (scores <= 1)).all()):  # logits
        values = np.reciprocal(1 + np.exp(-values))
    classes = values.argmax(axis=1)
    boxes = Boxes(
        corners=decode(np.asarray(offsets, np.float32), anchors(*side)),
        classes=classes,
        scores=values[np.arange(len(values)), classes],
    )
    return thinned(boxes, most=most, least=least)


def decode(offsets: Floats, from_anchors: Floats) -> Floats:
    """Return corners for ``offsets`` from anchors, each [middle y, x, height, width]."""
    moved = offsets / _OFFSETS
    sizes = np.exp(np.minimum(moved[:, 2:], _LOUD)) * from_anchors[:, 2:]
    return middled(moved[:, :2] * from_anchors[:, 2:] + from_anchors[:, :2], sizes)


@lru_cache(maxsize=4)
def anchors(height: int, width: int) -> Floats:
    """Return SSD MobileNet's anchors for an input of so many pixels: [middle y, x, height, width].

    Six grids, each half as fine as the one before it; three boxes in a cell of the first, six
    in the others.
    """
    found: list[tuple[float, ...]] = []
    rows, columns = -(-height // _FIRST_STRIDE), -(-width // _FIRST_STRIDE)
    square = (min(height, width) / height, min(height, width) / width)
    for layer in range(_LAYERS):
        shapes = list(_shapes(layer))
        found += [
            ((y + 0.5) / rows, (x + 0.5) / columns, h * square[0], w * square[1])
            for y in range(rows)
            for x in range(columns)
            for h, w in shapes
        ]
        rows, columns = -(-rows // 2), -(-columns // 2)
    return np.asarray(found, np.float32)


def _shapes(layer: int) -> Iterator[tuple[float, float]]:
    """Walk the heights and widths of the anchors in each cell of ``layer``."""
    low, high = _SCALES
    scale, larger = (
        low + (high - low) * k / (_LAYERS - 1) if k < _LAYERS else 1.0 for k in (layer, layer + 1)
    )
    if layer == 0:
        pairs = [(0.1, 1.0), (scale, 2.0), (scale, 1 / 2)]
    else:
        pairs = [*((scale, ratio) for ratio in _RATIOS), (math.sqrt(scale * larger), 1.0)]
    for size, ratio in pairs:
        yield size / math.sqrt(ratio), size * math.sqrt(ratio)
