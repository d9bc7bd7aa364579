"""Answers in the words of JSON and of a terminal. Draws nothing."""

import math
from collections.abc import Sequence
from typing import Any, Final, assert_never

import numpy as np

from littoral.model.place import Box
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

_DIGITS: Final = 4
_SOME: Final = 6  # numbers of a long list

Table = tuple[Sequence[str], Sequence[Sequence[object]]]  # heads, rows


def document(answer: Answer) -> dict[str, Any]:
    """Return ``answer`` as JSON has it. A mask is told by its size; pictures are for files."""
    match answer:
        case Classification(classes=classes):
            found: Any = [
                {"index": c.index, "label": c.label, "score": _number(c.score)} for c in classes
            ]
            return {"classes": found}
        case Detection(objects=objects):
            found = [
                {
                    "index": o.index,
                    "label": o.label,
                    "score": _number(o.score),
                    "box": _box(o.box),
                }
                for o in objects
            ]
            return {"objects": found}
        case Segmentation(mask=mask, box=box, regions=regions):
            found = [{"index": r.index, "label": r.label, "part": r.part} for r in regions]
            size = {"height": mask.shape[0], "width": mask.shape[1]}
            return {"mask": size, "box": _box(box), "regions": found}
        case Keypoints(poses=poses):
            return {"poses": [_pose(pose) for pose in poses]}
        case Embedding(vector=vector):
            return {"embedding": _numbers(vector.tolist())}
        case Raw(outputs=outputs):
            return {"outputs": {name: _numbers(v.tolist()) for name, v in outputs.items()}}
        case _:
            assert_never(answer)


def table(answer: Answer) -> Table:
    """Return ``answer`` as heads and rows for people."""
    rows: list[tuple[object, ...]]
    match answer:
        case Classification(classes=classes):
            return ("score", "class"), [(_short(c.score), c.label) for c in classes]
        case Detection(objects=objects):
            rows = [(_short(o.score), o.label, *_corners(o.box)) for o in objects]
            return ("score", "object", "top", "left", "bottom", "right"), rows
        case Segmentation(regions=regions):
            return ("part", "class"), [(f"{region.part:.1%}", region.label) for region in regions]
        case Keypoints(poses=poses):
            rows = [
                (k, p.name, _short(p.score), _short(p.y), _short(p.x))
                for k, pose in enumerate(poses, 1)
                for p in pose.points
            ]
            return ("person", "point", "score", "y", "x"), rows
        case Embedding(vector=vector):
            norm = float(np.linalg.norm(vector))
            return ("numbers", "norm", "first"), [(vector.size, _short(norm), _some(vector))]
        case Raw(outputs=outputs):
            rows = [(name, v.dtype, list(v.shape), _some(v)) for name, v in outputs.items()]
            return ("output", "type", "shape", "first"), rows
        case _:
            assert_never(answer)


def _pose(pose: Pose) -> dict[str, Any]:
    points = [
        {"name": p.name, "y": _number(p.y), "x": _number(p.x), "score": _number(p.score)}
        for p in pose.points
    ]
    box = None if pose.box is None else _box(pose.box)
    return {"score": _number(pose.score), "points": points, "box": box}


def _box(box: Box) -> dict[str, float | None]:
    return {
        "top": _number(box.top),
        "left": _number(box.left),
        "bottom": _number(box.bottom),
        "right": _number(box.right),
    }


def _number(value: float) -> float | None:
    """Return what JSON can say: it knows no NaN and no infinity."""
    return value if math.isfinite(value) else None


def _numbers(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    return _number(value) if isinstance(value, float) else value


def _short(value: float) -> str:
    return f"{value:.3f}"


def _corners(box: Box) -> tuple[str, ...]:
    return tuple(map(_short, (box.top, box.left, box.bottom, box.right)))


def _some(values: Any) -> str:  # noqa: ANN401
    flat = values.reshape(-1)
    text = ", ".join(f"{v:.{_DIGITS}g}" for v in flat[:_SOME].tolist())
    return f"{text}, …" if flat.size > _SOME else text
