"""The samples that two models answer most differently, and what a page shows of them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from littoral_converter.evidence import worst

RNG = np.random.default_rng(2)


def picture(html: str) -> Image.Image:
    found = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert found is not None
    return Image.open(io.BytesIO(base64.b64decode(found[1])))


def test_other_answers_come_before_larger_differences() -> None:
    a = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]], np.float32)
    b = np.array([[0.6, 0.4], [0.45, 0.55], [0.8, 0.2]], np.float32)
    found = worst.find(a, b, np.array([0, 1, 0]), ranked=True)
    assert [one.sample for one in found] == [1, 0]  # the equal one is not among the worst
    assert (found[0].a, found[0].b, found[0].true) == (0, 1, 1)
    assert found[0].apart == pytest.approx(0.15)
    unranked = worst.find(a, b, None, ranked=False)
    assert [one.sample for one in unranked] == [0, 1]
    assert unranked[0].a is None


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 24, 3), (500, 300, 3), (9, 9)])
def test_pictures_are_shown_as_pictures_in_few_bytes(shape: tuple[int, ...]) -> None:
    html = worst.show(RNG.normal(size=shape).astype(np.float32))
    shown = picture(html)
    assert max(shown.size) <= 160
    assert shown.mode == ("RGB" if shape[-1] == 3 else "L")
    assert abs(shown.width / shown.height - shape[1] / shape[0]) < 0.02
    assert len(html) < 120_000


def test_a_picture_looks_as_it_is() -> None:
    value = np.zeros((4, 6, 3), np.float32)
    value[0, 5] = (1, -1, 0)
    shown = picture(worst.show(value))
    assert shown.getpixel((5, 0)) == (255, 0, 128)
    assert shown.getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("shape", [(40,), (1000, 1), (49, 10), (100, 20), (3, 3)])
def test_whatever_else_is_plotted(shape: tuple[int, ...]) -> None:
    html = worst.show(RNG.normal(size=shape).astype(np.float32))
    assert html.count("<polyline") == (min(6, shape[-1]) if len(shape) > 1 else 1)
    heights = [float(y) for y in re.findall(r",(-?[\d.]+)", html)]
    assert min(heights) >= 0
    assert max(heights) <= 90
    assert len(html) < 20_000


def test_a_sample_of_one_value_is_shown_too() -> None:
    assert "<polyline" in worst.show(np.zeros(12, np.float32))
    assert picture(worst.show(np.full((5, 5, 1), 3.0, np.float32))).size == (5, 5)
