import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter import calibration
from littoral_converter.data import Data
from littoral_converter.recipe import Calibration


def samples(x: NDArray[np.float32]) -> Data:
    return Data(name="train.npz", sha256="0" * 64, x=x)


RANDOM = np.random.default_rng(0).random((300, 4), dtype=np.float32)


def test_the_same_seed_chooses_the_same_samples() -> None:
    first, again, other = (
        calibration.choose(samples(RANDOM), Calibration(samples=50, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first.shape == (50, 4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_few_samples_are_all_taken_and_warned_about() -> None:
    assert np.array_equal(
        calibration.choose(samples(RANDOM[:7]), Calibration(samples=50)), RANDOM[:7]
    )
    assert "calibrated on 7 samples" in (calibration.warning(7) or "")
    assert calibration.warning(100) is None


@pytest.mark.parametrize(
    "x", [np.zeros((5, 4), np.float32), np.tile(RANDOM[:1], (5, 1)), np.ones((1, 3), np.float32)]
)
def test_samples_that_are_all_one_teach_nothing(x: NDArray[np.float32]) -> None:
    with pytest.raises(ConversionError, match="the same values"):
        calibration.choose(samples(x), Calibration())
