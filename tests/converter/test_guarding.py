import numpy as np
import pytest

from littoral_converter import guarding
from littoral_converter.guarding import Limit, Standing
from littoral_converter.recipe import Guard

LIMIT = Limit(max_drop=0.02, min_agreement=0.9)


def standing(
    agreement: float | None, accuracy: float | None = None, samples: int = 1000
) -> Standing:
    return Standing(samples=samples, agreement=agreement, accuracy=accuracy, float_accuracy=0.95)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (standing(0.9, 0.93), None),
        (standing(None), None),
        (standing(0.89), "answer to 89.0% of the samples, and guard.min_agreement asks for 90.0%"),
        (standing(0.95, 0.9299), "accuracy is 93.0% after 95.0%, and 2 points less are allowed"),
        (standing(0.95, 0.92, samples=30), None),  # one sample in thirty is 3 points
    ],
)
def test_what_a_limit_says(found: Standing, words: str | None) -> None:
    said = guarding.broken(found, LIMIT)
    assert said is None if words is None else words in (said or "")


def test_answers_are_compared_by_their_largest() -> None:
    exact = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    real = np.array([[0.8, 0.2], [0.6, 0.4], [0.7, 0.3]], np.float32)
    found = guarding.stand(exact, real, np.array([0, 1, 1]))
    assert found.agreement == pytest.approx(2 / 3)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.float_accuracy == pytest.approx(2 / 3)
    curves = guarding.stand(exact[:, :1], real[:, :1], None)
    assert (curves.agreement, curves.accuracy) == (None, None)


def test_two_points_are_allowed_where_nothing_is_said() -> None:
    assert Limit.of(Guard()) == Limit(max_drop=0.02, min_agreement=0)
    assert Limit.of(Guard(max_accuracy_drop=0.0)).max_drop == 0
