"""Scores into classes."""

import math
from collections.abc import Sequence

import numpy as np

from littoral.model.backends import Array
from littoral.model.tasks.answers import Class, Classification, Floats
from littoral.model.tasks.labels import Labels
from littoral.model.tasks.layout import Shapes, UnreadableError


def check(shapes: Shapes) -> None:
    """Do nothing if outputs of ``shapes`` are scores of classes. Raises UnreadableError."""
    if len(shapes) != 1 or not shapes[0] or math.prod(shapes[0]) != shapes[0][-1]:
        raise UnreadableError("classification", "one output of [classes]", shapes)


def read(outputs: Sequence[Array], *, labels: Labels, most: int) -> Classification:
    """Return the ``most`` surest classes; of equal ones the first."""
    scores: Floats = np.asarray(outputs[0], np.float32).reshape(-1)
    order = np.argsort(-scores, kind="stable")[:most].tolist()
    return Classification(
        classes=tuple(Class(index=k, label=labels[k], score=float(scores[k])) for k in order)
    )
