import numpy as np
import pytest
from PIL import Image

from littoral.bundle.preprocessing import Preprocessing
from littoral_converter.samples import asked
from littoral_converter.samples.asked import Asked, Pictures, SamplesError


def test_classes_take_turns_until_there_are_enough() -> None:
    y = np.array([0] * 90 + [1] * 8 + [2] * 2)
    chosen = Asked(most=9).choice(y, 100)
    assert np.bincount(y[chosen]).tolist() == [4, 3, 2]
    assert (np.diff(chosen) > 0).all()


def test_fewer_than_classes_are_of_different_ones() -> None:
    y = np.repeat(np.arange(50), 10)
    assert len(set(y[Asked(most=20).choice(y, 500)])) == 20


def test_without_classes_they_are_drawn() -> None:
    chosen = Asked(most=10, seed=3).choice(None, 1000)
    assert len(set(chosen.tolist())) == 10
    assert not np.array_equal(chosen, Asked(most=10, seed=4).choice(None, 1000))
    assert Asked(most=10).choice(None, 7).tolist() == list(range(7))


def test_a_class_without_a_sign_never_becomes_a_negative_one() -> None:
    with pytest.raises(SamplesError, match="below 2147483648, found 18446744073709551615"):
        asked.classes(np.full(3, 2**64 - 1, np.uint64), 3)


@pytest.mark.parametrize(
    "name", ["a\nb", "a\rb", "a\u2028b", "a\0", "\x1b[31m", "", " ", "\udcff", "n" * 1_000_001]
)
def test_a_class_is_named_by_one_line_of_text(name: str) -> None:
    with pytest.raises(SamplesError, match=r"names of classes|a class is named"):
        asked.names(["cat", name])
    assert asked.names(["chien d'été", "猫", "a\u200cb"]) == ("chien d'été", "猫", "a\u200cb")


@pytest.mark.parametrize(
    ("shape", "size", "channels"),
    [
        ((96, 80, 3), (96, 80), "rgb"),
        ((28, 28, 1), (28, 28), "gray"),
        ((3, 96, 80), (96, 80), "rgb"),
        (None, (7, 9), "gray"),
    ],
)
def test_what_is_open_comes_from_the_model_and_then_from_the_first_picture(
    shape: tuple[int, ...] | None, size: tuple[int, int], channels: str
) -> None:
    found = asked._settled(Asked(shape=shape), size=(7, 9), gray=True)
    assert (found.size, found.channels) == (size, channels)


def test_a_quantized_input_settles_the_range_where_nothing_is_said() -> None:
    picture = Image.new("RGB", (4, 4), (255, 255, 255))
    alike = Pictures(want=Asked(shape=(4, 4, 3), ends=(-1.0, 1.0)))
    assert alike.prepare(picture).tolist() == np.ones((4, 4, 3)).tolist()
    said = Pictures(
        want=Asked(shape=(4, 4, 3), ends=(-1.0, 1.0), preprocessing=Preprocessing(range=(0, 7)))
    )
    assert said.prepare(picture).max() == 7


def test_what_is_said_stays() -> None:
    said = Preprocessing(size=(5, 5), channels="bgr", range=(0.0, 1.0))
    assert (
        asked._settled(Asked(shape=(9, 9, 3), preprocessing=said), size=(7, 9), gray=True) == said
    )


@pytest.mark.parametrize("shape", [(40,), (8, 8, 2)])
def test_pictures_do_not_fit_every_model(shape: tuple[int, ...]) -> None:
    with pytest.raises(SamplesError, match="pictures"):
        asked._settled(Asked(shape=shape), size=(7, 9), gray=False)
