"""The one place where a task is chosen: outputs in, an answer out. Add one by adding a case.

Pure. Outputs are real values without the batch's dimension. Refuses
to know who asks, and how an answer is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np

from littoral.bundle.manifest import Task, Tensor
from littoral.errors import MalformedError
from littoral.model.backends import Array
from littoral.model.place import Place
from littoral.model.tasks import classification, detection, embedding, keypoints, segmentation
from littoral.model.tasks.answers import Answer, Raw
from littoral.model.tasks.labels import Labels
from littoral.model.tasks.layout import Shapes

MOST: Final = {"classification": 5, "detection": 100}  # classes, objects, of one picture
LEAST: Final = 0.3  # score of an object, or of a person
_UNNAMED: Final[tuple[Task, ...]] = (  # in which order shapes tell the task of a bare model
    "detection",
    "keypoints",
    "segmentation",
    "embedding",
    "classification",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a model's outputs are to be read. ``side``: height and width of its input."""

    task: Task
    outputs: tuple[Tensor, ...]
    labels: Labels
    side: tuple[int, int]


def check(how: Reading) -> None:
    """Do nothing if outputs such as these can be read.

    Raises:
        UnreadableError: They cannot; says what was expected.

    """
    shapes = [spec.shape[1:] for spec in how.outputs]
    match how.task:
        case "classification":
            classification.check(shapes)
        case "detection":
            detection.check(shapes, classes=len(how.labels), side=how.side)
        case "segmentation":
            segmentation.check(shapes, how.outputs)
        case "keypoints":
            keypoints.check(shapes)
        case "embedding":
            embedding.check(shapes)
        case "raw":
            pass
        case _:
            assert_never(how.task)


def read(
    how: Reading,
    outputs: Sequence[Array],
    *,
    place: Place | None = None,
    most: int | None = None,
    least: float = LEAST,
) -> Answer:
    """Return what ``outputs`` say of one picture, which lay in the input at ``place``.

    Raises:
        MalformedError: They cannot be what the task says.

    """
    place = place or Place()
    most = most or MOST.get(how.task, 0)
    # What a model makes of a hostile picture may be anything, and is no news for a log.
    with np.errstate(all="ignore"):
        match how.task:
            case "classification":
                return classification.read(outputs, labels=how.labels, most=most)
            case "detection":
                return detection.read(
                    outputs, labels=how.labels, place=place, side=how.side, most=most, least=least
                )
            case "segmentation":
                return segmentation.read(outputs, place=place, labels=how.labels)
            case "keypoints":
                return keypoints.read(outputs, place=place, least=least)
            case "embedding":
                return embedding.read(outputs)
            case "raw":
                names = (spec.name for spec in how.outputs)
                return Raw(outputs=dict(zip(names, outputs, strict=True)))
            case _:
                assert_never(how.task)


def told(outputs: tuple[Tensor, ...], labels: Labels, side: tuple[int, int]) -> Task:
    """Return the task that the shapes of a model without a manifest tell; "raw" if none does."""
    for task in _UNNAMED:
        shapes: Shapes = [spec.shape[1:] for spec in outputs]
        if task == "embedding" and (len(shapes) != 1 or shapes[0][:-1] != (1, 1)):
            continue
        if task == "classification" and (len(shapes) != 1 or shapes[0] in {(), (1,)}):
            continue
        try:
            check(Reading(task=task, outputs=outputs, labels=labels, side=side))
        except MalformedError:
            continue
        return task
    return "raw"
