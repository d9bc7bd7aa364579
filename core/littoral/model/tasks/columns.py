"""Answers about several pictures as named arrays: what protocols of tensors can carry.

Text is arrays of bytes objects. A row that is shorter than others is filled with zeros, or
empty text. docs/tasks.md names them all.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

import numpy as np
from numpy.typing import NDArray

from littoral.model.backends import Array
from littoral.model.place import Box
from littoral.model.tasks import drawing
from littoral.model.tasks.answers import (
    Answer,
    Classification,
    Detection,
    Embedding,
    Keypoints,
    Pose,
    Raw,
    Segmentation,
)
from littoral.model.tasks.reading import MOST, Reading

BYTES: Final = "bytes"
_POINTS: Final = 17


@dataclass(frozen=True, slots=True)
class Column:
    """What one array is; -1 where the number differs from request to request."""

    name: str
    kind: str  # as NumPy calls it; or BYTES
    shape: tuple[int, ...]


def told(how: Reading) -> tuple[Column, ...]:
    """Return the arrays that ``columns`` will give for such answers."""
    match how.task:
        case "classification":
            most = min(MOST["classification"], *how.outputs[0].shape[-1:])
            return Column("classes", BYTES, (-1, most)), Column("scores", "float32", (-1, most))
        case "detection":
            return (
                Column("detection_boxes", "float32", (-1, -1, 4)),
                Column("detection_classes", "int64", (-1, -1)),
                Column("detection_classes_as_text", BYTES, (-1, -1)),
                Column("detection_scores", "float32", (-1, -1)),
                Column("num_detections", "int64", (-1,)),
            )
        case "segmentation":
            return (
                Column("mask_bytes", BYTES, (-1,)),
                Column("mask_boxes", "float32", (-1, 4)),
                Column("classes", BYTES, (-1, -1)),
                Column("parts", "float32", (-1, -1)),
            )
        case "keypoints":
            return (
                Column("keypoints", "float32", (-1, -1, _POINTS, 3)),
                Column("pose_scores", "float32", (-1, -1)),
            )
        case "embedding":
            size = int(np.prod(how.outputs[0].shape[1:]))
            return (Column("embedding", "float32", (-1, size)),)
        case "raw":
            return tuple(
                Column(spec.name, "float32" if spec.scale else spec.dtype, (-1, *spec.shape[1:]))
                for spec in how.outputs
            )
        case _:
            assert_never(how.task)


def columns(answers: Sequence[Answer]) -> dict[str, Array]:
    """Return ``answers``, all of one task and at least one, with a row for each."""
    rows = [_row(answer) for answer in answers]
    return {name: _stacked([row[name] for row in rows]) for name in rows[0]}


def png(mask: NDArray[np.uint8]) -> bytes:
    """Return a mask as a picture: each pixel's value is its class, the palette what is seen."""
    from PIL import Image

    image = Image.fromarray(mask)
    image.putpalette(drawing.palette())
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _row(answer: Answer) -> dict[str, Any]:
    match answer:
        case Classification(classes=classes):
            return {
                "classes": _texts(c.label for c in classes),
                "scores": _floats(c.score for c in classes),
            }
        case Detection(objects=objects):
            return {
                "detection_boxes": _of(objects, lambda o: _corners(o.box), (4,)),
                "detection_classes": np.array([o.index for o in objects], np.int64),
                "detection_classes_as_text": _texts(o.label for o in objects),
                "detection_scores": _floats(o.score for o in objects),
                "num_detections": np.int64(len(objects)),
            }
        case Segmentation(mask=mask, box=box, regions=regions):
            return {
                "mask_bytes": _texts([png(mask)]).reshape(()),
                "mask_boxes": np.array(_corners(box), np.float32),
                "classes": _texts(r.label for r in regions),
                "parts": _floats(r.part for r in regions),
            }
        case Keypoints(poses=poses):
            return {
                "keypoints": _of(poses, _points, (_POINTS, 3)),
                "pose_scores": _floats(pose.score for pose in poses),
            }
        case Embedding(vector=vector):
            return {"embedding": vector}
        case Raw(outputs=outputs):
            return dict(outputs)
        case _:
            assert_never(answer)


def _stacked(parts: Sequence[Array]) -> Array:
    """Return ``parts`` as rows, the shorter ones filled up."""
    if len({part.shape for part in parts}) == 1:
        return np.stack(parts)
    longest = max(len(part) for part in parts)
    first = parts[0]
    found: Array = np.full(
        (len(parts), longest, *first.shape[1:]), b"" if first.dtype == object else 0, first.dtype
    )
    for row, part in zip(found, parts, strict=True):
        row[: len(part)] = part
    return found


def _texts(values: "Iterator[str] | Sequence[bytes]") -> Array:
    found = [v if isinstance(v, bytes) else v.encode(errors="replace") for v in values]
    array = np.empty(len(found), object)
    array[:] = found
    return array


def _floats(values: Iterator[float]) -> Array:
    return np.array(list(values), np.float32)


def _of(things: Sequence[Any], row: Callable[[Any], Any], shape: tuple[int, ...]) -> Array:
    return np.array([row(thing) for thing in things], np.float32).reshape(-1, *shape)


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.top, box.left, box.bottom, box.right


def _points(pose: Pose) -> list[tuple[float, float, float]]:
    return [(point.y, point.x, point.score) for point in pose.points]
