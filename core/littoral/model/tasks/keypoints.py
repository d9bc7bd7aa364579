"""MoveNet's outputs into poses: of one person, or of several with a box each."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from littoral.model.backends import Array
from littoral.model.place import Box, Place
from littoral.model.tasks.answers import Floats, Keypoints, Point, Pose
from littoral.model.tasks.layout import Shapes, UnreadableError

NAMES: Final = (  # left and right are the person's own
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)
BONES: Final = (  # which points a line joins
    *((0, 1), (0, 2), (1, 3), (2, 4)),
    *((5, 6), (5, 7), (7, 9), (6, 8), (8, 10)),
    *((5, 11), (6, 12), (11, 12)),
    *((11, 13), (13, 15), (12, 14), (14, 16)),
)
_OF_ONE: Final = len(NAMES) * 3
_OF_SEVERAL: Final = _OF_ONE + 5  # a box and its score
_RANK: Final = 2


def check(shapes: Shapes) -> None:
    """Do nothing if outputs of ``shapes`` are MoveNet's. Raises UnreadableError."""
    if len(shapes) == 1:
        one = shapes[0][-2:] == (len(NAMES), 3) and math.prod(shapes[0]) == _OF_ONE
        if one or (len(shapes[0]) == _RANK and shapes[0][1] == _OF_SEVERAL):
            return
    raise UnreadableError("keypoints", "one output of [1, 17, 3] or [people, 56]", shapes)


def read(outputs: Sequence[Array], *, place: Place, least: float) -> Keypoints:
    """Return the poses; of several people those that are surer than ``least``."""
    values: Floats = np.asarray(outputs[0], np.float32)
    if values.size == _OF_ONE:
        points = _points(values.reshape(-1, 3), place)
        score = sum(point.score for point in points) / len(points)
        return Keypoints(poses=(Pose(score=score, points=points, box=None),))
    rows = values.reshape(-1, _OF_SEVERAL)
    sure = sorted((row for row in rows if row[-1] >= least), key=lambda row: -row[-1])
    return Keypoints(poses=tuple(_pose(row, place) for row in sure))


def _pose(row: Floats, place: Place) -> Pose:
    box: Box = place.box(*map(float, row[_OF_ONE : _OF_ONE + 4]))
    points = _points(row[:_OF_ONE].reshape(-1, 3), place)
    return Pose(score=float(row[-1]), points=points, box=box)


def _points(rows: Floats, place: Place) -> tuple[Point, ...]:
    return tuple(
        Point(name=name, y=place.y(float(y)), x=place.x(float(x)), score=float(score))
        for name, (y, x, score) in zip(NAMES, rows, strict=True)
    )
