"""YOLO's one output: for each box its middle, its size, perhaps an objectness, its scores."""

from typing import Final

import numpy as np

from littoral.model.backends import Array
from littoral.model.tasks.answers import Floats
from littoral.model.tasks.boxes import Boxes, middled, thinned
from littoral.model.tasks.layout import Shapes

_PIXELS: Final = 2.0  # coordinates beyond it are no fractions


def is_one(shapes: Shapes, classes: int) -> bool:
    """Tell whether an output of ``shapes`` holds rows of so many ``classes``."""
    if len(shapes) != 1 or len(shapes[0]) != 2 or not classes:  # noqa: PLR2004
        return False
    return not {4 + classes, 5 + classes}.isdisjoint(shapes[0])


def read(output: Array, *, classes: int, side: tuple[int, int], most: int, least: float) -> Boxes:
    """Return the boxes in ``output``, of an input of ``side`` pixels."""
    rows: Floats = np.asarray(output, np.float32)
    known = {4 + classes, 5 + classes}
    if rows.shape[0] in known and (rows.shape[1] not in known or rows.shape[0] < rows.shape[1]):
        rows = rows.T
    scores = rows[:, -classes:]
    if rows.shape[1] == 5 + classes:
        scores = scores * rows[:, 4:5]
    best = scores.argmax(axis=1)
    middles, sizes = rows[:, 1::-1], rows[:, 3:1:-1]
    if rows[:, :4].max(initial=0) > _PIXELS:
        pixels = np.asarray(side, np.float32)
        middles, sizes = middles / pixels, sizes / pixels
    boxes = Boxes(
        corners=middled(middles, sizes),
        classes=best,
        scores=scores[np.arange(len(rows)), best],
    )
    return thinned(boxes, most=most, least=least)
