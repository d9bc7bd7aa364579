"""How well a model finds things: boxes it answers against true ones, as COCO counts them.

A box is [top, left, bottom, right], as fractions of the picture. Outputs are read as devices read
them, by ``littoral.model.tasks``, down to the scores that COCO counts. Rules only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MalformedError
from littoral.model.tasks import detection
from littoral.model.tasks.boxes import Boxes, shares

Floats = NDArray[np.float32]

IOUS: Final = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2).tolist())  # COCO's ten
_RECALLS: Final = np.linspace(0, 1, 101)
_MOST: Final = 100  # boxes of a picture that count, the surest first
_LEAST: Final = 0.001  # score: below, a box is noise
_TRUTH: Final = 5  # numbers of a true box: its class, then its corners


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Means over the classes that there are; None where there is none."""

    map: float | None  # over IOUS
    map50: float | None
    by_class: tuple[float | None, ...]  # over IOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """Both models against true boxes; ``why`` says why their answers could not be read as boxes."""

    samples: int
    float_precision: Precision | None = None
    int8_precision: Precision | None = None
    why: str | None = None


def judge(
    reference: Floats, answers: Floats, boxes: Floats, *, classes: int, shape: Sequence[int]
) -> Detected:
    """Return how the float model's and INT8's answers do; ``shape`` is the model's input.

    Raises:
        ValueError: ``boxes`` are no true boxes.

    """
    true = truth(boxes)
    if not classes:
        return Detected(samples=len(true), why="the classes are not named: give --labels")
    try:
        side = int(shape[1]), int(shape[2])
        found = [decode(one, classes=classes, side=side) for one in (reference, answers)]
    except (MalformedError, IndexError) as e:
        return Detected(samples=len(true), why=str(e))
    before, after = (score(one, true, classes=classes) for one in found)
    return Detected(samples=len(true), float_precision=before, int8_precision=after)


def truth(boxes: Floats) -> tuple[Boxes, ...]:
    """Return the true boxes in ``boxes``, [pictures, n, 5]: class, then corners; class -1 is none.

    Raises:
        ValueError: They are of another shape.

    """
    if boxes.ndim != 3 or boxes.shape[2] != _TRUTH:  # noqa: PLR2004
        raise ValueError(
            f"y: expected boxes as [samples, n, 5] (class, top, left, bottom, right; class -1 for "
            f"none), found {list(boxes.shape)}"
        )
    there = (each[each[:, 0] >= 0].astype(np.float32) for each in boxes)
    return tuple(
        Boxes(
            corners=each[:, 1:],
            classes=each[:, 0].astype(np.int64),
            scores=np.ones(len(each), np.float32),
        )
        for each in there
    )


def decode(output: Floats, *, classes: int, side: tuple[int, int]) -> tuple[Boxes, ...]:
    """Return what ``output``, [pictures, …], says about pictures of ``side`` pixels.

    Raises:
        MalformedError: It is no detector's.

    """
    detection.check([output.shape[1:]], classes=classes, side=side)
    return tuple(
        detection.boxes([each], classes=classes, side=side, most=_MOST, least=_LEAST)
        for each in output
    )


def score(found: Sequence[Boxes], true: Sequence[Boxes], *, classes: int) -> Precision:
    """Return the mean average precision of ``found``, both one a picture."""
    table = np.full((classes, len(IOUS)), np.nan)
    for k in range(classes):
        mine = [_of(boxes, k) for boxes in found]
        theirs = [_of(boxes, k).corners for boxes in true]
        count = sum(map(len, theirs))
        if count:
            for i, least in enumerate(IOUS):
                table[k, i] = _average(mine, theirs, least=least, count=count)
    seen = table[~np.isnan(table).any(axis=1)]
    return Precision(
        map=float(seen.mean()) if len(seen) else None,
        map50=float(seen[:, 0].mean()) if len(seen) else None,
        by_class=tuple(None if np.isnan(row).any() else float(row.mean()) for row in table),
    )


def _average(found: Sequence[Boxes], true: Sequence[Floats], *, least: float, count: int) -> float:
    """Return the area under precision over recall; a true box is found once, by the surest."""
    hits: list[tuple[float, bool]] = []
    for boxes, theirs in zip(found, true, strict=True):
        free = np.ones(len(theirs), bool)
        for value, corners in zip(boxes.scores, boxes.corners, strict=True):
            near = np.where(free, shares(corners, theirs), -1.0)
            best = int(near.argmax()) if len(near) else -1
            hit = best >= 0 and bool(near[best] >= least)
            free[best] &= not hit
            hits.append((float(value), hit))
    if not hits:
        return 0.0
    order = sorted(range(len(hits)), key=lambda k: -hits[k][0])
    right = np.cumsum([hits[k][1] for k in order])
    precision = right / np.arange(1, len(order) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(right / count, _RECALLS, side="left")
    return float(np.append(precision, 0.0)[at].mean())


def _of(boxes: Boxes, k: int) -> Boxes:
    """Return those of class ``k``, the surest first."""
    mine = np.flatnonzero(boxes.classes == k)
    return boxes.take(mine[np.argsort(-boxes.scores[mine], kind="stable")])
