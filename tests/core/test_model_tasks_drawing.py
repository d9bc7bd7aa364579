"""What is drawn, where; how it looks was looked at."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from littoral.errors import MisuseError
from littoral.model.place import Box
from littoral.model.tasks import drawing
from littoral.model.tasks.answers import (
    Class,
    Classification,
    Detection,
    Embedding,
    Keypoints,
    Object,
    Point,
    Pose,
    Region,
    Segmentation,
)
from littoral.model.tasks.keypoints import NAMES

GRAY = Image.new("RGB", (600, 400), (128, 128, 128))


def changed(answer: Any) -> Any:
    """Return where the picture is another: [400, 600] of bool."""
    drawn = drawing.draw(GRAY, answer)
    assert drawn.size == GRAY.size
    return (np.asarray(drawn) != 128).any(axis=2)


def thing(box: Box, label: str = "cup") -> Detection:
    return Detection(objects=(Object(index=3, label=label, score=0.9, box=box),))


def test_a_box_is_drawn_where_the_object_is() -> None:
    found = changed(thing(Box(top=0.5, left=0.25, bottom=0.75, right=0.5)))
    rows, columns = np.nonzero(found[200:])
    assert (rows.min(), rows.max()) == (0, 100)
    assert (columns.min(), columns.max()) == (150, 300)
    assert not found[220:280, 170:280].any()
    assert found[:200].any()  # its label, above it


@pytest.mark.parametrize(
    "box",
    [
        Box(top=-5, left=-5, bottom=7, right=9),
        Box(top=0.5, left=0.5, bottom=0.2, right=0.2),
        Box(top=float("nan"), left=0, bottom=float("inf"), right=1e30),
    ],
)
def test_a_box_beyond_the_picture_harms_nothing(box: Box) -> None:
    changed(thing(box, label="x" * 500))


def test_a_mask_tints_its_classes_and_not_the_background() -> None:
    mask = np.zeros((4, 4), np.uint8)
    mask[2:, :2] = 8
    regions = (
        Region(index=0, label="background", part=0.75),
        Region(index=8, label="cat", part=0.25),
    )
    box = Box(top=0, left=0, bottom=1, right=1)
    found = changed(Segmentation(mask=mask, box=box, regions=regions))
    assert found[200:, :300].all()
    assert not found[200:, 300:].any()


def test_a_skeleton_joins_the_points_that_were_seen() -> None:
    points = [Point(name=name, y=0.5, x=k / 17, score=0.1) for k, name in enumerate(NAMES)]
    for k in (5, 6):  # the shoulders
        points[k] = Point(name=NAMES[k], y=0.5, x=points[k].x, score=0.8)
    found = changed(Keypoints(poses=(Pose(score=0.5, points=tuple(points), box=None),)))
    columns = np.nonzero(found.any(axis=0))[0]
    assert 600 * 5 / 17 - 12 < columns.min() <= columns.max() < 600 * 6 / 17 + 12


def test_classes_are_listed_within_the_picture() -> None:
    classes = tuple(Class(index=k, label="Ärger — 漢字 " * 9, score=0.5) for k in range(40))
    assert changed(Classification(classes=classes)).any()


def test_a_long_name_is_written_smaller_before_it_is_cut() -> None:
    def size(label: str) -> tuple[int, int]:
        answer = Classification(classes=(Class(index=1, label=label, score=0.5),))
        drawn = np.asarray(drawing.draw(Image.new("RGB", (600, 1800)), answer))
        rows, columns = np.nonzero(drawn.any(axis=2))
        return int(rows.max()), int(columns.max())

    (short, _), (long, right) = size("cat"), size("Coracias caudatus (Lilac-breasted Roller)")
    assert long < short
    assert right < 599


def test_a_small_picture_is_enlarged_so_that_labels_do_not_hide_it() -> None:
    small = Image.new("L", (28, 28))
    answer = Classification(classes=(Class(index=9, label="9", score=1.0),))
    assert drawing.draw(small, answer).size == (392, 392)


def test_numbers_cannot_be_drawn() -> None:
    with pytest.raises(MisuseError, match="nothing to draw"):
        drawing.draw(GRAY, Embedding(vector=np.zeros(3, np.float32)))


def test_pillows_own_font_takes_names_in_any_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_FONTS", ())
    test_classes_are_listed_within_the_picture()
    from PIL import ImageFont

    old = ImageFont.load_default_imagefont()
    monkeypatch.setattr(ImageFont, "load_default", lambda: old)  # as before 10.1: without a size
    test_classes_are_listed_within_the_picture()
