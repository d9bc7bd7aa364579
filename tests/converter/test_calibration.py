import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import ConversionError
from littoral_converter import calibration
from littoral_converter.data import Data
from littoral_converter.recipe import Calibration

RANDOM = np.random.default_rng(0).random((300, 4), dtype=np.float32)
PICTURES = np.random.default_rng(1).random((120, 4, 4, 3), dtype=np.float32)


def samples(x: NDArray[np.float32], **said: Any) -> Data:
    return Data(**{"name": "train", "sha256": "0" * 64, "x": x, **said})


def warned(learned: Data, judged: Data | None = None, **said: Any) -> list[str]:
    return list(calibration.warnings(learned.x, learned, judged, **said))


def test_the_same_seed_chooses_the_same_samples() -> None:
    first, again, other = (
        calibration.choose(samples(RANDOM), Calibration(samples=50, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first.shape == (50, 4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_all_classes_are_among_the_chosen() -> None:
    y = np.zeros(300, np.int64)
    y[299] = 7
    chosen = calibration.choose(samples(RANDOM, y=y), Calibration(samples=10))
    assert np.array_equal(chosen[-1], RANDOM[299])


def test_few_samples_are_all_taken_and_warned_about() -> None:
    few = samples(RANDOM[:7])
    assert np.array_equal(calibration.choose(few, Calibration(samples=50)), RANDOM[:7])
    (words,) = warned(few)
    assert "calibrated on 7 samples" in words
    assert warned(samples(RANDOM)) == []


@pytest.mark.parametrize(
    "x", [np.zeros((5, 4), np.float32), np.tile(RANDOM[:1], (5, 1)), np.ones((1, 3), np.float32)]
)
def test_samples_that_are_all_one_teach_nothing(x: NDArray[np.float32]) -> None:
    with pytest.raises(ConversionError, match="the same values"):
        calibration.choose(samples(x), Calibration())


def test_copies_are_told() -> None:
    (words,) = warned(samples(np.tile(RANDOM[:40], (5, 1))))
    assert "train: 160 of 200 calibration samples are copies" in words


def test_blank_ones_are_told() -> None:
    x = PICTURES.copy()
    x[::5] = np.arange(24, dtype=np.float32)[:, None, None, None] / 24
    (words,) = warned(samples(x))
    assert "24 of 120 calibration samples hold a single value each" in words


def test_two_scales_are_told() -> None:
    judged = samples(255 * RANDOM[::-1], name="test")
    (words,) = warned(samples(RANDOM), judged)
    assert words.startswith("train and test are in different scales: values reach 1 in the one")
    assert warned(samples(RANDOM), dataclasses.replace(judged, x=RANDOM[::-1] * 2)) == []


def test_pixels_that_were_already_rescaled_are_told() -> None:
    (words,) = warned(samples(PICTURES), rescales=True)
    assert "rescales pixels of 0 to 255 itself" in words
    assert warned(samples(255 * PICTURES), rescales=True) == []


def test_pixels_that_nobody_scaled_are_told() -> None:
    pixels = np.rint(255 * PICTURES)
    (words,) = warned(samples(pixels))
    assert "range = [0.0, 255.0]" in words
    assert warned(samples(pixels), rescales=True) == []
    assert warned(samples(pixels), preprocessing=Preprocessing(size=(4, 4), range=(0, 255))) == []
    assert warned(samples(255 * PICTURES)) == []  # of no camera


def test_samples_in_another_scale_than_the_recipes_are_told() -> None:
    said = Preprocessing(range=(0.0, 1.0))
    (words,) = warned(samples(255 * PICTURES), preprocessing=said)
    assert "preprocessing makes 0 to 1" in words
    assert warned(samples(PICTURES), preprocessing=said) == []


def test_pictures_without_a_word_about_their_scale_are_told() -> None:
    read = samples(255 * PICTURES, preprocessing=Preprocessing(size=(4, 4)))
    (words,) = warned(read)
    assert "[input.preprocessing]" in words
    assert warned(read, rescales=True) == []
    assert warned(read, preprocessing=Preprocessing()) == []


def test_evaluating_on_what_was_calibrated_on_is_told() -> None:
    learned, others = samples(RANDOM[:150]), samples(RANDOM[140:], name="test")
    assert calibration.shared(learned.x, others.x) == 10
    (words,) = warned(learned, others)
    assert words.startswith("10 of the 160 samples of test were calibrated on, too")
    assert warned(learned, dataclasses.replace(others, x=RANDOM[150:])) == []


def test_samples_that_are_only_alike_are_not_the_same() -> None:
    large = np.tile(PICTURES, (1, 4, 4, 1))
    alike = large.copy()
    alike[:, -1, -1, -1] += 0.001
    assert calibration.shared(large, alike) == 0
    assert calibration.shared(large, large[:7]) == 7
    assert calibration.shared(PICTURES, PICTURES[:, :2]) == 0


def test_what_was_left_out_is_told() -> None:
    (words,) = warned(samples(RANDOM, notes=("empty: cow",)))
    assert words == "train: empty: cow"


def test_a_model_that_answers_always_the_same_was_asked_wrongly() -> None:
    answers = np.tile(np.eye(3, dtype=np.float32)[1], (30, 1))
    (words,) = calibration.doubts(answers, None)
    assert "gives class 1 to all 30 samples" in words
    assert list(calibration.doubts(answers[:10], None)) == []
    assert list(calibration.doubts(answers, np.ones(30, np.int64))) == []


def test_a_model_that_guesses_was_asked_wrongly() -> None:
    answers = np.eye(10, dtype=np.float32)[np.arange(100) % 10]
    (words,) = calibration.doubts(answers, (np.arange(100) + 1) % 10)
    assert "right for 0.0% of the samples" in words
    assert list(calibration.doubts(answers, np.arange(100) % 10)) == []
