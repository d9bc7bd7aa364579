"""How well a model finds things: boxes it answers against true ones, as COCO counts them.

A box is [top, left, bottom, right], as fractions of the picture. What a model's one or four
outputs mean is told by their shapes; where that leaves it open, nobody guesses. Rules only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

IOUS: Final = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2).tolist())  # COCO's ten
_RECALLS: Final = np.linspace(0, 1, 101)
_MOST: Final = 100  # boxes of a picture that count, the surest first
_LEAST: Final = 0.001  # score: below, a box is noise
_OVERLAP: Final = 0.65  # of two boxes of one class: one thing
_CORNERS: Final = 4
_FOUR: Final = 4  # outputs of a network that has its own post-processing
_TRUTH: Final = 5  # numbers of a true box: its class, then its corners
_PIXELS: Final = 2.0  # coordinates beyond it are no fractions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """Of one picture, the surest first; true ones have a score of 1."""

    corners: Doubles  # [n, 4]
    classes: NDArray[np.int64]
    scores: Doubles


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
        found = [decode([one], classes=classes, side=side) for one in (reference, answers)]
    except (ValueError, IndexError) as e:
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
    there = (each[each[:, 0] >= 0].astype(np.float64) for each in boxes)
    return tuple(
        Boxes(corners=e[:, 1:], classes=e[:, 0].astype(np.int64), scores=np.ones(len(e)))
        for e in there
    )


def decode(outputs: Sequence[Floats], *, classes: int, side: tuple[int, int]) -> tuple[Boxes, ...]:
    """Return what ``outputs``, each [pictures, …], say about pictures of ``side`` pixels.

    One output is YOLO's: [4 + classes, n], or turned, or with an objectness before the classes.
    Four are those of TensorFlow's detection models: corners, classes, scores, how many.

    Raises:
        ValueError: They are neither, or could be both.

    """
    if len(outputs) == _FOUR:
        return _four(*outputs)
    if len(outputs) != 1 or outputs[0].ndim != 3:  # noqa: PLR2004
        shapes = ", ".join(str(list(o.shape[1:])) for o in outputs)
        raise ValueError(f"boxes are read of one output [rows, n] or of four, found {shapes}")
    return tuple(_one(each, classes=classes, side=side) for each in outputs[0])


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


def _average(found: Sequence[Boxes], true: Sequence[Doubles], *, least: float, count: int) -> float:
    """Return the area under precision over recall; a true box is found once, by the surest."""
    hits: list[tuple[float, bool]] = []
    for boxes, theirs in zip(found, true, strict=True):
        free = np.ones(len(theirs), bool)
        overlaps = iou(boxes.corners, theirs)
        for value, row in zip(boxes.scores, overlaps, strict=True):
            near = np.where(free, row, -1.0)
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


def iou(a: Doubles, b: Doubles) -> Doubles:
    """Return the share that each box of ``a`` and each of ``b`` have in common: [a, b]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.maximum(high - low, 0).prod(axis=2)
    whole = _area(a)[:, None] + _area(b)[None, :] - common
    shares: Doubles = np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)
    return shares


def _area(boxes: Doubles) -> Doubles:
    found: Doubles = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    return found


def _of(boxes: Boxes, k: int) -> Boxes:
    mine = boxes.classes == k
    order = np.argsort(-boxes.scores[mine], kind="stable")
    return Boxes(
        corners=boxes.corners[mine][order],
        classes=boxes.classes[mine],
        scores=boxes.scores[mine][order],
    )


def _four(*outputs: Floats) -> tuple[Boxes, ...]:
    corners = next((o for o in outputs if o.ndim == 3 and o.shape[2] == _CORNERS), None)  # noqa: PLR2004
    flat = [o for o in outputs if o.ndim == 2 and o.shape[1] > 1]  # noqa: PLR2004
    counts = next((o.reshape(-1) for o in outputs if o.size == len(o)), None)
    if corners is None or counts is None or len(flat) != 2:  # noqa: PLR2004
        raise ValueError("expected corners, classes, scores and their number, found other shapes")
    # Both are [pictures, n]; classes are whole numbers, and scores fall.
    whole = [bool(np.allclose(o, np.round(o), atol=1e-3)) for o in flat]
    if whole[0] == whole[1]:
        raise ValueError("which output has the classes and which the scores cannot be told")
    classes, scores = flat if whole[0] else flat[::-1]
    return tuple(
        Boxes(
            corners=c[: int(n)].astype(np.float64),
            classes=np.round(k[: int(n)]).astype(np.int64),
            scores=s[: int(n)].astype(np.float64),
        )
        for c, k, s, n in zip(corners, classes, scores, counts, strict=True)
    )


def _one(values: Floats, *, classes: int, side: tuple[int, int]) -> Boxes:
    rows = values.astype(np.float64)
    if rows.shape[0] in {4 + classes, 5 + classes} and rows.shape[0] < rows.shape[1]:
        rows = rows.T
    if rows.shape[1] not in {4 + classes, 5 + classes}:
        raise ValueError(
            f"expected rows of 4 or 5 numbers and {classes} classes, found {list(values.shape)}"
        )
    scores = rows[:, -classes:]
    if rows.shape[1] == 5 + classes:
        scores = scores * rows[:, 4:5]
    best = scores.argmax(axis=1)
    sure = scores[np.arange(len(rows)), best]
    kept = sure > _LEAST
    x, y, width, height = (rows[kept, k] for k in range(4))
    if rows[:, :4].max(initial=0) > _PIXELS:
        y, height, x, width = y / side[0], height / side[0], x / side[1], width / side[1]
    corners = np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=1)
    return _thinned(Boxes(corners=corners, classes=best[kept], scores=sure[kept]))


def _thinned(boxes: Boxes) -> Boxes:
    """Return the surest box of those of one class that lie over one another."""
    order = list(np.argsort(-boxes.scores, kind="stable"))
    kept: list[int] = []
    while order and len(kept) < _MOST:
        k = int(order.pop(0))
        kept.append(k)
        over = iou(boxes.corners[k : k + 1], boxes.corners[order])[0] > _OVERLAP
        same = boxes.classes[order] == boxes.classes[k]
        order = [n for n, gone in zip(order, over & same, strict=True) if not gone]
    return Boxes(
        corners=boxes.corners[kept], classes=boxes.classes[kept], scores=boxes.scores[kept]
    )
