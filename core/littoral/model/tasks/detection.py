"""Boxes of objects, of whichever detector the outputs are. Reads no output that fits none."""

from collections.abc import Sequence

from littoral.model.backends import Array
from littoral.model.place import Place
from littoral.model.tasks import ssd, yolo
from littoral.model.tasks.answers import Detection, Object
from littoral.model.tasks.boxes import Boxes
from littoral.model.tasks.labels import Labels
from littoral.model.tasks.layout import Shapes, UnreadableError


def check(shapes: Shapes, *, classes: int, side: tuple[int, int]) -> None:
    """Do nothing if outputs of ``shapes`` are a detector's; so many ``classes`` have names.

    Raises:
        UnreadableError: They are none's; says what was expected.

    """
    if (
        ssd.processed_order(shapes) is None
        and ssd.raw_order(shapes, side) is None
        and not yolo.is_one(shapes, classes)
    ):
        n = len(ssd.anchors(*side))
        raise UnreadableError(
            "detection",
            f"SSD's four outputs, or [{n}, 4] and [{n}, classes], or YOLO's one and the names "
            f"of its classes ({classes} are named)",
            shapes,
        )


def read(
    outputs: Sequence[Array],
    *,
    labels: Labels,
    place: Place,
    side: tuple[int, int],
    most: int,
    least: float,
) -> Detection:
    """Return the ``most`` surest objects, each with a score of at least ``least``.

    Raises:
        MalformedError: The outputs are no boxes.

    """
    found = boxes(outputs, classes=len(labels), side=side, most=most, least=least)
    rows = zip(found.corners.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True)
    return Detection(
        objects=tuple(
            Object(index=k, label=labels[k], score=score, box=place.box(*corners))
            for corners, k, score in rows
        )
    )


def boxes(
    outputs: Sequence[Array], *, classes: int, side: tuple[int, int], most: int, least: float
) -> Boxes:
    """Return what ``read`` makes objects of, as fractions of the input, which is ``side`` pixels.

    Raises:
        MalformedError: The outputs are no boxes.

    """
    shapes = [output.shape for output in outputs]
    if (order := ssd.processed_order(shapes)) is not None:
        return ssd.processed(outputs, order).surest(most=most, least=least)
    if (raw := ssd.raw_order(shapes, side)) is not None:
        offsets, scores = (outputs[k] for k in raw)
        return ssd.raw(offsets, scores, side=side, most=most, least=least)
    return yolo.read(outputs[0], classes=classes, side=side, most=most, least=least)
