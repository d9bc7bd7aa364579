"""Pictures of a page: what is on their axes, and that words stay words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral_serve.bench import drawing
from littoral_serve.bench.drawing import HIGH, WIDE, Scale, Tick

VALUES = st.floats(min_value=1e-3, max_value=1e7)


@given(VALUES, VALUES, st.sampled_from([True, False]))
def test_ticks_lie_within_in_order_and_are_few(one: float, other: float, logarithmic: Any) -> None:
    low, high = sorted((one, other))
    scale = Scale(low, high, logarithmic=logarithmic)
    ticks = scale.ticks()
    assert ticks == sorted(set(ticks))
    assert len(ticks) <= 7
    slack = 1e-9 * high
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    parts = [scale.part(tick) for tick in ticks]
    assert parts == sorted(parts)
    assert all(0 <= part <= 1 for part in parts)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 10), [0, 5, 10]),
        (Scale(0, 100), [0, 50, 100]),
        (Scale(3, 9), [4, 6, 8]),
        (Scale(1, 1000, logarithmic=True), [1, 10, 100, 1000]),
        (Scale(9, 60, logarithmic=True), [10, 20, 50]),
        (Scale(90, 180, logarithmic=True), [100, 150]),  # one tick would be none
        (Scale(7, 7), [7]),
    ],
)
def test_ticks_are_round(scale: Scale, ticks: list[float]) -> None:
    assert scale.ticks() == pytest.approx(ticks)


def test_a_logarithmic_scale_gives_each_decade_the_same_room() -> None:
    scale = Scale(1, 10_000, logarithmic=True)
    assert [scale.part(10.0**k) for k in range(5)] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert (scale.part(0.01), scale.part(1e9)) == (0, 1)  # what lies beyond is at the edge
    assert Scale(5, 5).part(5) == 0.5


def test_a_line_goes_up_where_its_values_do() -> None:
    assert drawing.line([(0, 0), (0.5, 1)], kind="p") == (
        f'<path class="p" d="M0.0 {HIGH:.1f}L{WIDE / 2:.1f} 0.0"/>'
    )
    there = drawing.band([(0, 0), (1, 0)], [(0, 1), (1, 1)], kind="b")
    corners = there.partition('d="M')[2].partition("Z")[0].split("L")
    assert corners == ["0.0 300.0", "1000.0 300.0", "1000.0 0.0", "0.0 0.0"]  # once around


def test_a_bar_that_is_nothing_has_no_height_and_one_that_is_something_has_some() -> None:
    assert 'height="0.0"' in drawing.bar(0, 0.1, 0.0, tip="")
    assert 'height="0.8"' in drawing.bar(0, 0.1, 1e-6, tip="")


def test_names_are_words_and_no_markup() -> None:
    bad = '<script>"&'
    tick = Tick(0.5, bad)
    drawn = (
        drawing.plot([], across=[tick], up=[tick], words=bad)
        + drawing.bar(0, 1, 1, tip=bad)
        + drawing.upright(0.5, kind="k", tip=bad)
        + drawing.whisker(0.5, 0, 1, kind="k", tip=bad)
        + drawing.rows([(bad, bad, 0.5, "k")])
        + drawing.span(0, 0.5, 1, name=bad, value=bad, good="k")
    )
    assert "<script>" not in drawn
    assert drawn.count("&lt;script&gt;") == 10
