"""What a model's outputs mean, once they are read: plain values, by task.

Boxes and points are fractions of the upright picture: 0 at its top and left, 1 at its bottom and
right. Refuses to know how they came about, and how anybody is told of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from littoral.model.backends import Array
from littoral.model.place import Box

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    index: int
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    index: int  # of its class
    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    index: int  # of its class
    label: str
    part: float  # of the mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    name: str
    y: float
    x: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    score: float
    points: tuple[Point, ...]
    box: Box | None  # where the model says one


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    classes: tuple[Class, ...]  # the surest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    objects: tuple[Object, ...]  # the surest first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    mask: NDArray[np.uint8]  # [height, width]: each pixel's class
    box: Box  # what of the picture the mask covers
    regions: tuple[Region, ...]  # the largest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypoints:
    poses: tuple[Pose, ...]  # the surest first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedding:
    vector: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raw:
    outputs: dict[str, Array]


Answer = Classification | Detection | Segmentation | Keypoints | Embedding | Raw
