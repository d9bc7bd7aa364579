"""Offsets, anchors and scores into boxes. LiteRT's own operator is the judge."""

import contextlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor
from littoral.errors import MalformedError
from littoral.model.backends import open_session
from littoral.model.place import Place
from littoral.model.tasks import reading, ssd
from littoral.model.tasks.answers import Detection
from littoral.model.tasks.labels import Labels
from simulators import detectors

SIDE = (300, 300)


def read_as(
    shapes: list[tuple[int, ...]], *, names: tuple[str, ...] = (), side: tuple[int, int] = SIDE
) -> reading.Reading:
    outputs = tuple(
        Tensor(name=str(k), shape=(1, *shape), dtype="float32") for k, shape in enumerate(shapes)
    )
    return reading.Reading(task="detection", outputs=outputs, labels=Labels(names), side=side)


def read(
    outputs: list[NDArray[Any]],
    *,
    names: tuple[str, ...] = (),
    side: tuple[int, int] = SIDE,
    place: Place | None = None,
    **said: Any,
) -> Detection:
    how = read_as([o.shape for o in outputs], names=names, side=side)
    reading.check(how)
    found = reading.read(how, outputs, place=place, **said)
    assert isinstance(found, Detection)
    return found


def scene() -> NDArray[np.float32]:
    """Return a red square at the top left, a blue one at the bottom right, on gray."""
    picture = np.full((1, 64, 64, 3), 0.5, np.float32)
    picture[0, 8:32, 16:40] = [1, 0, 0]
    picture[0, 32:56, 32:56] = [0, 0, 1]
    return picture


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0)])
def test_four_outputs_are_read_in_each_order_that_exporters_have(
    order: tuple[int, int, int, int],
) -> None:
    session = open_session("litert", detectors.finder(order=order))
    outputs = [output[0] for output in session.run(scene())]
    found = read(outputs, names=detectors.LABELS, side=(64, 64))
    assert [thing.label for thing in found.objects] == ["red", "blue"]
    red, blue = (thing.box for thing in found.objects)
    assert (red.top, red.left, red.bottom, red.right) == pytest.approx((8 / 64, 0.25, 0.5, 0.625))
    assert (blue.top, blue.left) == pytest.approx((0.5, 0.5))
    assert all(thing.score > 0.9 for thing in found.objects)


def test_what_is_counted_as_none_is_none() -> None:
    session = open_session("litert", detectors.finder())
    blank = np.full((1, 64, 64, 3), 0.5, np.float32)
    assert read([o[0] for o in session.run(blank)], side=(64, 64)).objects == ()


def test_ssd_mobilenets_anchors_are_as_many_as_it_has() -> None:
    assert ssd.anchors(300, 300).shape == (1917, 4)
    first, last = ssd.anchors(300, 300)[[0, -1]]
    assert first == pytest.approx([0.5 / 19, 0.5 / 19, 0.1, 0.1])
    assert last == pytest.approx([0.5, 0.5, np.sqrt(0.95), np.sqrt(0.95)])


def test_anchors_stand_in_the_order_of_tensorflows_generator() -> None:
    """Three boxes in a cell of the first grid, six in the others: ratios 1, 2, 1/2, 3, 1/3."""
    sizes = ssd.anchors(300, 300)[:, 2:]
    assert sizes[:3] == pytest.approx(
        np.array([[0.1, 0.1], [0.141421, 0.282843], [0.282843, 0.141421]]), rel=1e-4
    )
    second = [[0.35, 0.35], [0.247487, 0.494975], [0.494975, 0.247487]]
    second += [[0.202073, 0.606218], [0.606218, 0.202073], [0.418330, 0.418330]]
    assert sizes[1083:1089] == pytest.approx(np.array(second), rel=1e-4)
    assert ssd.anchors(300, 300)[1089, :2] == pytest.approx([0.05, 0.15])


def test_offsets_become_the_boxes_that_litert_makes_of_them() -> None:
    random = np.random.default_rng(1)
    n = len(ssd.anchors(*SIDE))
    offsets = random.normal(size=(1, n, 4)).astype(np.float32)
    scores = random.uniform(0, 0.2, (1, n, 4)).astype(np.float32)
    sure = random.choice(n, 60, replace=False)
    scores[0, sure, random.integers(1, 4, 60)] = random.permutation(np.linspace(0.5, 0.99, 60))
    judge = open_session("litert", detectors.postprocess(ssd.anchors(*SIDE), classes=3, least=0.3))
    corners, classes, values, count = (o[0] for o in judge.run(offsets, scores))
    assert count == detectors.MOST
    found = read([offsets[0], scores[0]], most=detectors.MOST)
    assert [thing.index for thing in found.objects] == classes.tolist()
    assert [thing.score for thing in found.objects] == pytest.approx(values.tolist())
    boxes = [[t.box.top, t.box.left, t.box.bottom, t.box.right] for t in found.objects]
    assert np.abs(np.array(boxes) - corners).max() < 1e-5


def test_logits_are_read_as_scores() -> None:
    n = len(ssd.anchors(*SIDE))
    logits = np.full((n, 3), -8.0, np.float32)
    logits[700, 2] = 3.0
    (thing,) = read([np.zeros((n, 4), np.float32), logits]).objects
    assert thing.index == 1
    assert thing.score == pytest.approx(1 / (1 + np.exp(-3)))


YOLO = np.zeros((6, 50), np.float32)
YOLO[:, 7] = [0.5, 0.25, 0.2, 0.1, 0.1, 0.9]  # middle x, middle y, width, height, scores
YOLO[:, 8] = [0.51, 0.25, 0.2, 0.1, 0.1, 0.8]  # the same thing, again
YOLO[:, 9] = [0.51, 0.25, 0.2, 0.1, 0.7, 0.1]  # another class, in the same place


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("scale", [1, 300])
def test_yolos_rows_are_read_in_fractions_and_pixels_either_way_round(
    *, turned: bool, scale: int
) -> None:
    rows = YOLO.copy()
    rows[:4] *= scale
    found = read([rows.T if turned else rows], names=("cup", "plate"))
    assert [(t.label, round(t.score, 3)) for t in found.objects] == [("plate", 0.9), ("cup", 0.7)]
    box = found.objects[0].box
    assert (box.top, box.left, box.bottom, box.right) == pytest.approx((0.2, 0.4, 0.3, 0.6))


def test_an_objectness_before_the_classes_lowers_their_scores() -> None:
    rows = np.insert(YOLO, 4, 0.5, axis=0)
    found = read([rows], names=("cup", "plate"))
    assert [round(t.score, 3) for t in found.objects] == [0.45, 0.35]


def test_coordinates_are_the_pictures_own_where_it_was_padded() -> None:
    """A picture twice as wide as high lies in the middle half of a square input."""
    place = Place(top=0.25, bottom=0.75)
    (first, _) = read([YOLO], names=("cup", "plate"), place=place).objects
    assert (first.box.top, first.box.bottom) == pytest.approx((-0.1, 0.1))
    assert (first.box.left, first.box.right) == pytest.approx((0.4, 0.6))


@pytest.mark.parametrize(
    "shapes", [[(10, 4)], [(10, 5), (10,), (10,), ()], [(1916, 4), (1916, 3)], [(6, 50)], []]
)
def test_other_shapes_are_refused_with_what_was_expected(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(MalformedError, match=r"detection: expected SSD's four outputs.*1917"):
        reading.check(read_as(shapes))


def test_numbers_that_are_no_scores_are_not_read_as_some() -> None:
    outputs = [np.zeros((5, 4)), np.zeros(5), np.full(5, 7.0), np.array(5.0)]
    with pytest.raises(MalformedError, match="not corners, classes, scores, number"):
        read(outputs)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_no_number_ends_in_no_object_or_an_error(value: float) -> None:
    n = len(ssd.anchors(*SIDE))
    wild = np.full((n, 4), value, np.float32)
    read([wild, np.full((n, 3), value, np.float32)])
    read([np.full((6, 50), value, np.float32)], names=("cup", "plate"))
    four = [wild[:5], wild[:5, 0], np.full(5, 0.5, np.float32), np.float32(value).reshape(1)]
    with contextlib.suppress(MalformedError):
        assert not [t for t in read(four).objects if not np.isfinite(t.box.top)]
