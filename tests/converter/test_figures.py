import re
import xml.etree.ElementTree as ET

import pytest

from littoral_converter import figures

MATRIX = [[30, 1, 0], [0, 29, 2], [5, 0, 20]]


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("}text")]


def test_each_cell_of_a_small_matrix_bears_its_number() -> None:
    found = texts(figures.confusion(MATRIX, ["cat", "dog", "cow"]))
    for word in ("cat", "dog", "cow", "30", "29", "20", "5", "answered by INT8", "true"):
        assert word in found


def test_labels_are_drawn_as_they_are() -> None:
    svg = figures.confusion([[1, 0], [0, 1]], ["<b>$x_1$</b>", "a long, long, long name"])
    assert "<b>$x_1$</b>" in texts(svg)
    assert "a long, long,…" in texts(svg)
    assert "<b>" not in svg


@pytest.mark.parametrize("classes", [2, 30, 60])
def test_matrices_of_any_size_are_drawn(classes: int) -> None:
    matrix = [[int(i == k) for k in range(classes)] for i in range(classes)]
    svg = figures.confusion(matrix, [f"c{k}" for k in range(classes)])
    assert len(svg) < 2_000_000
    ET.fromstring(svg)


def test_pictures_scale_with_the_page_and_say_nothing_of_the_machine() -> None:
    drawn = [
        figures.latency([("INT8", figures.TEAL, [7.0] * 50), ("float", figures.SLATE, [9, 30])]),
        figures.sizes([("m.keras", figures.SLATE, 9000), ("INT8", figures.TEAL, 1000)]),
        figures.confidence([0, 0.5, 1], [3, 9]),
    ]
    for svg in drawn:
        head = re.match(r"<svg[^>]*>", svg)
        assert head is not None
        assert "viewBox" in head[0]
        assert "width=" not in head[0]
        assert "matplotlib" not in svg.lower().replace("matplotlib.axis", "")
    assert "8.8 KiB" in texts(drawn[1])


def test_the_same_figures_give_the_same_picture() -> None:
    first, again = (figures.confusion(MATRIX, ["a", "b", "c"]) for _ in range(2))
    assert first == again
