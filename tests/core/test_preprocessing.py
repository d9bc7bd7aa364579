from typing import Any

import pytest

from littoral.bundle.preprocessing import Preprocessing
from littoral.records import RecordError, fill


def test_pixels_go_in_as_they_are_unless_it_is_said_otherwise() -> None:
    assert Preprocessing().normalization == ((0.0,), (1.0,))
    assert Preprocessing().bounds == (0.0, 255.0)


@pytest.mark.parametrize(
    ("said", "mean", "std"),
    [
        ({"range": [0, 1]}, [0], [255]),
        ({"range": [-1, 1]}, [127.5], [127.5]),
        (  # as PyTorch's own networks were trained
            {"range": [0, 1], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
            [123.675, 116.28, 103.53],
            [58.395, 57.12, 57.375],
        ),
        ({"mean": [103.939, 116.779, 123.68]}, [103.939, 116.779, 123.68], [1, 1, 1]),
    ],
)
def test_phones_are_told_the_same_in_their_own_terms(
    said: dict[str, Any], mean: list[float], std: list[float]
) -> None:
    means, deviations = fill(Preprocessing, said).normalization
    assert means == pytest.approx(mean)
    assert deviations == pytest.approx(std)


def test_the_bounds_are_those_of_all_channels() -> None:
    found = Preprocessing(range=(0, 1), mean=(0.5, 0.0, 0.5), std=(1.0, 0.5, 1.0))
    assert found.bounds == pytest.approx((-0.5, 2.0))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"size": [224]}, "expected [height, width]"),
        ({"size": [0, 4]}, "expected [height, width]"),
        ({"shorter": 256}, "is for resize = 'crop'"),
        ({"resize": "crop", "size": [224, 224], "shorter": 200}, "at least 224"),
        ({"fill": 256}, "0 to 255"),
        ({"antialias": False, "filter": "lanczos"}, "goes with bilinear, nearest"),
        ({"range": [1, 1]}, "two different numbers"),
        ({"range": [0, 1, 2]}, "two different numbers"),
        ({"mean": [1, 2]}, "one number, or one a channel"),
        ({"channels": "gray", "mean": [1, 2, 3]}, "one number, or one a channel"),
        ({"std": [0]}, "more than 0"),
        ({"channels": "hsv"}, "one of rgb, bgr, gray"),
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError) as caught:
        fill(Preprocessing, said)
    assert words in str(caught.value)
