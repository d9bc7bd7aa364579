"""A class for each pixel, of whole numbers or of scores."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor
from littoral.errors import MalformedError
from littoral.model.backends import Array
from littoral.model.place import Box, Place
from littoral.model.tasks.answers import Region, Segmentation
from littoral.model.tasks.labels import Labels
from littoral.model.tasks.layout import Shapes, UnreadableError

_MOST_CLASSES: Final = 256  # that a mask can tell apart
_FLAT, _SCORED = 2, 3  # dimensions of a mask, and of scores for each class


def check(shapes: Shapes, outputs: Sequence[Tensor]) -> None:
    """Do nothing if outputs of ``shapes`` are classes of pixels. Raises UnreadableError."""
    if len(shapes) == 1 and 0 not in shapes[0]:
        whole = outputs[0].scale == 0 and "float" not in outputs[0].dtype
        flat = len(shapes[0]) == _FLAT or (len(shapes[0]) == _SCORED and shapes[0][2] == 1)
        if (flat and whole) or (len(shapes[0]) == _SCORED and 1 < shapes[0][2] <= _MOST_CLASSES):
            return
    expected = "one output of [height, width] whole numbers, or [height, width, classes]"
    raise UnreadableError("segmentation", expected, shapes)


def read(outputs: Sequence[Array], *, place: Place, labels: Labels) -> Segmentation:
    """Return the mask of what the model saw of the picture.

    Raises:
        MalformedError: A class is beyond 0 to 255.

    """
    (grid,) = outputs
    if grid.ndim == _SCORED:
        grid = grid.argmax(axis=-1) if grid.shape[-1] > 1 else grid[..., 0]
    if grid.min() < 0 or grid.max() >= _MOST_CLASSES:
        raise MalformedError(f"segmentation: a class of 0 to 255 was expected, found {grid.max()}")
    rows, columns = place.seen(*grid.shape)
    mask = np.ascontiguousarray(grid[rows, columns], np.uint8)
    return Segmentation(
        mask=mask,
        box=_covered(rows, columns, grid.shape, place),
        regions=_regions(mask, labels),
    )


def _covered(rows: slice, columns: slice, shape: tuple[int, ...], place: Place) -> Box:
    height, width = shape
    return place.box(
        rows.start / height, columns.start / width, rows.stop / height, columns.stop / width
    )


def _regions(mask: NDArray[np.uint8], labels: Labels) -> tuple[Region, ...]:
    counts = np.bincount(mask.reshape(-1), minlength=1)
    order = [k for k in np.argsort(-counts, kind="stable").tolist() if counts[k]]
    return tuple(
        Region(index=k, label=labels[k], part=float(counts[k] / max(mask.size, 1))) for k in order
    )
