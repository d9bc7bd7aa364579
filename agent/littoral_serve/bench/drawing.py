"""Small pictures for a page: SVG that stretches, and words beside it that keep their size.

Colours are the page's, so that a picture is light or dark as it is. Knows no figure of bench.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDE: Final = 1000
HIGH: Final = 300
_MOST_TICKS: Final = 6
_STEPS: Final = (1, 2, 5)
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values along one axis, to parts of its length."""

    low: float
    high: float
    logarithmic: bool = False

    def part(self, value: float) -> float:
        if self.logarithmic:
            low, high, value = (math.log(max(1e-12, v)) for v in (self.low, self.high, value))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Return round values within, few enough to be read."""
        return self._decades() if self.logarithmic else self._even()

    def _decades(self) -> list[float]:
        first = math.floor(math.log10(max(1e-12, self.low)))
        last = math.ceil(math.log10(max(1e-12, self.high)))
        every = [step * 10.0**k for k in range(first, last + 1) for step in _STEPS]
        found = [value for value in every if self.low <= value <= self.high]
        if len(found) > _MOST_TICKS:
            found = [v for v in found if math.isclose(math.log10(v) % 1, 0, abs_tol=1e-9)] or found
        if len(found) < 2:  # noqa: PLR2004 (one tick is no scale)
            return self._even()
        return found[:: math.ceil(len(found) / _MOST_TICKS)]

    def _even(self) -> list[float]:
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        raw = span / (_MOST_TICKS - 2)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(k * power for k in (*_STEPS, 10) if k * power >= raw)
        first = math.ceil(self.low / step)
        return [step * k for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Tick:
    part: float
    words: str
    minor: bool = False  # left out where there is little room


def plot(marks: Sequence[str], *, across: Sequence[Tick], up: Sequence[Tick], words: str) -> str:
    """Return a picture of ``marks`` with its axes; ``words`` say what it shows to the blind."""
    grid = "".join(f'<path class="grid" d="M0 {_y(t.part)}H{WIDE}"/>' for t in up)
    labels = "".join(
        f'<span class="y" style="bottom:{t.part:.2%}">{escape(t.words)}</span>' for t in up
    )
    labels += "".join(
        f'<span class="x{" minor" * t.minor}" style="left:{t.part:.2%}">{escape(t.words)}</span>'
        for t in across
    )
    return (
        f'<div class="plot" role="img" aria-label="{escape(words)}">'
        f'<svg viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" aria-hidden="true">'
        f"{grid}{''.join(marks)}</svg>{labels}</div>"
    )


def bar(left: float, right: float, height: float, *, tip: str, kind: str = "bar") -> str:
    x, width = left * WIDE, max(1.0, (right - left) * WIDE - 1.5)
    high = max(0.8, height * HIGH) if height else 0
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{HIGH - high:.1f}" width="{width:.1f}" '
        f'height="{high:.1f}"><title>{escape(tip)}</title></rect>'
    )


def line(points: Sequence[Point], *, kind: str) -> str:
    """Return a line through ``points``, which are parts of either axis."""
    path = "L".join(f"{x * WIDE:.1f} {_y(y)}" for x, y in points)
    return f'<path class="{kind}" d="M{path}"/>'


def band(lower: Sequence[Point], upper: Sequence[Point], *, kind: str) -> str:
    """Return what lies between two lines."""
    there = "L".join(f"{x * WIDE:.1f} {_y(y)}" for x, y in lower)
    back = "L".join(f"{x * WIDE:.1f} {_y(y)}" for x, y in reversed(upper))
    return f'<path class="{kind}" d="M{there}L{back}Z"/>'


def upright(part: float, *, kind: str, tip: str) -> str:
    return (
        f'<path class="{kind}" d="M{part * WIDE:.1f} 0V{HIGH}"><title>{escape(tip)}</title></path>'
    )


def whisker(part: float, low: float, high: float, *, kind: str, tip: str) -> str:
    """Return an interval that stands upright at ``part``."""
    return (
        f'<path class="{kind}" d="M{part * WIDE:.1f} {_y(low)}V{_y(high)}">'
        f"<title>{escape(tip)}</title></path>"
    )


def rows(entries: Sequence[tuple[str, str, float, str]]) -> str:
    """Return bars that lie: each its name, a word beside it, its part of the longest, its kind."""
    return "".join(
        f'<div class="row {kind}"><span>{escape(name)}</span><b>{escape(value)}</b>'
        f'<i><u style="width:{part:.2%}"></u></i></div>'
        for name, value, part, kind in entries
    )


def span(low: float, middle: float, high: float, *, name: str, value: str, good: str) -> str:
    """Return an interval that lies, on an axis whose middle is where nothing differs."""
    return (
        f'<div class="row span {good}"><span>{escape(name)}</span><b>{escape(value)}</b><i>'
        f'<s></s><u style="left:{low:.2%};width:{max(0.004, high - low):.2%}"></u>'
        f'<em style="left:{middle:.2%}"></em></i></div>'
    )


def _y(part: float) -> str:
    return f"{(1 - part) * HIGH:.1f}"
