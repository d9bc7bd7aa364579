"""Boxes against true boxes: cases that can be counted by hand."""

import numpy as np
import pytest

from littoral.errors import MalformedError
from littoral.model.tasks.boxes import Boxes
from littoral_converter.evidence import detection

A, B = (0.1, 0.1, 0.3, 0.3), (0.5, 0.5, 0.9, 0.9)


def boxes(*rows: tuple[tuple[float, ...], int, float]) -> Boxes:
    return Boxes(
        corners=np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        classes=np.array([r[1] for r in rows], np.int64),
        scores=np.array([r[2] for r in rows], np.float32),
    )


TRUE = (boxes((A, 0, 1), (B, 1, 1)), boxes((B, 0, 1)))


def test_who_finds_everything_has_a_precision_of_one() -> None:
    found = detection.score(TRUE, TRUE, classes=3)
    assert (found.map, found.map50) == (1.0, 1.0)
    assert found.by_class == (1.0, 1.0, None)  # of the third class there is none


def test_who_finds_nothing_has_none() -> None:
    assert detection.score((boxes(), boxes()), TRUE, classes=3).map == 0.0
    assert detection.score((boxes(),), (boxes(),), classes=3).map is None


def test_half_of_the_boxes_found_surely_is_about_a_half() -> None:
    found = detection.score((boxes((A, 0, 0.9)), boxes()), TRUE, classes=1)
    assert found.by_class[0] == pytest.approx(51 / 101)  # of 101 places on the way, 51 are reached


def test_a_wrong_box_that_is_surer_costs_precision() -> None:
    wrong = (0.6, 0.1, 0.8, 0.2)
    found = detection.score((boxes((wrong, 0, 0.99), (A, 0, 0.9)), TRUE[1]), TRUE, classes=1)
    assert found.by_class[0] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_one_thing_is_found_once() -> None:
    twice = boxes((A, 0, 0.9), (A, 0, 0.95))
    lone = (boxes((A, 0, 1)),)
    assert detection.score((twice,), lone, classes=1).map == 1.0
    both = boxes((A, 0, 1), (B, 0, 1))
    found = detection.score((twice,), (both,), classes=1).by_class[0]
    assert found == pytest.approx(51 / 101)


def test_a_box_that_is_a_little_off_counts_up_to_its_overlap() -> None:
    moved = (0.1, 0.12, 0.3, 0.32)  # common 0.18 of 0.22 wide: 0.818
    found = detection.score((boxes((moved, 0, 0.9)),), (boxes((A, 0, 1)),), classes=1)
    assert found.map50 == 1.0
    assert found.map == pytest.approx(0.7)  # 0.5 to 0.8 of ten


def test_outputs_are_read_as_on_a_device_and_down_to_the_scores_that_coco_counts() -> None:
    rows = np.zeros((1, 40, 7), np.float32)
    rows[0, 5] = (0.2, 0.2, 0.2, 0.2, 0.9, 0, 0)
    rows[0, 6] = (0.2, 0.2, 0.2, 0.2, 0.8, 0, 0)  # the same thing
    rows[0, 9] = (0.7, 0.7, 0.4, 0.4, 0, 0.002, 0)  # a device would not tell of it
    (found,) = detection.decode(rows, classes=3, side=(200, 200))
    assert found.classes.tolist() == [0, 1]
    assert np.allclose(found.corners, [A, B], atol=1e-6)
    assert found.scores.tolist() == pytest.approx([0.9, 0.002])


@pytest.mark.parametrize("shape", [(1, 10), (1, 9, 40), (1, 3)])
def test_what_nobody_can_read_is_not_guessed(shape: tuple[int, ...]) -> None:
    with pytest.raises(MalformedError, match="3 are named"):
        detection.decode(np.zeros(shape, np.float32), classes=3, side=(8, 8))


def test_both_models_are_judged_or_it_is_said_why_not() -> None:
    y = np.array([[[0, *A], [1, *B]]], np.float32)
    answer = np.zeros((1, 6, 20), np.float32)
    answer[0, :, 0] = (0.2, 0.2, 0.2, 0.2, 0.9, 0)
    answer[0, :, 1] = (0.7, 0.7, 0.4, 0.4, 0, 0.9)
    worse = answer.copy()
    worse[0, :, 1] = 0
    found = detection.judge(answer, worse, y, classes=2, shape=(1, 64, 64, 3))
    assert found.float_precision is not None
    assert found.int8_precision is not None
    assert (found.float_precision.map, found.int8_precision.map) == (1.0, 0.5)
    unnamed = detection.judge(answer, worse, y, classes=0, shape=(1, 64, 64, 3))
    assert "--labels" in (unnamed.why or "")
    strange = detection.judge(answer, worse, y, classes=7, shape=(1, 64, 64, 3))
    assert "7 are named" in (strange.why or "")


def test_true_boxes_are_padded_with_a_class_that_there_is_not() -> None:
    y = np.array([[[0, *A], [1, *B]], [[0, *B], [-1, 0, 0, 0, 0]]], np.float32)
    found = detection.truth(y)
    assert [one.classes.tolist() for one in found] == [[0, 1], [0]]
    assert np.allclose(found[0].corners, [A, B])
    with pytest.raises(ValueError, match="class -1"):
        detection.truth(y[..., :4])
