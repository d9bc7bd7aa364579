"""The samples that two models answer most differently, and what they look like.

Pictures are drawn as pictures, whatever else as a plot; each is a piece of a page, a few kilobytes.
"""

import base64
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MOST: Final = 10
_SIDE: Final = 160  # pixels of a picture that is shown; larger ones are made smaller
_LINES: Final = 6  # of a signal with more channels, the first
_POINTS: Final = 256  # of a line
_WIDTH, _HEIGHT = 160.0, 90.0
_COLOURS: Final = (1, 3, 4)
_LEAST: Final = 4  # pixels of either side, or it is no picture
_LONG: Final = 4  # times as long as wide: a signal
_FLAT, _DEEP = 2, 3  # ranks of a gray picture without and with its channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """A sample that the two answer most differently."""

    sample: int  # its place in the data
    apart: float  # root mean square of the difference
    a: int | None  # the classes that they answer, where answers are classes
    b: int | None
    true: int | None


def find(
    a: Floats, b: Floats, y: NDArray[np.int64] | None, *, ranked: bool, most: int = MOST
) -> tuple[Worst, ...]:
    """Return the samples that are answered most differently: other classes first."""
    flat = (b.astype(np.float64) - a).reshape(len(a), -1)
    apart = np.sqrt(np.square(flat).mean(axis=1))
    tops = [x.reshape(len(x), -1).argmax(axis=1) for x in (a, b)]
    other = tops[0] != tops[1] if ranked else np.zeros(len(a), bool)
    order = np.lexsort((-apart, ~other))[:most]
    return tuple(
        Worst(
            sample=int(k),
            apart=float(apart[k]),
            a=int(tops[0][k]) if ranked else None,
            b=int(tops[1][k]) if ranked else None,
            true=None if y is None else int(y[k]),
        )
        for k in order
        if apart[k] > 0
    )


def show(sample: Floats) -> str:
    """Return HTML that shows ``sample``, without its batch."""
    value = np.asarray(sample, np.float64)
    if value.ndim == _DEEP and value.shape[-1] in _COLOURS and min(value.shape[:2]) >= _LEAST:
        return _picture(value)
    if (
        value.ndim == _FLAT
        and min(value.shape) >= _LEAST
        and max(value.shape) < _LONG * min(value.shape)
    ):
        return _picture(value[..., None])
    return _plot(value.reshape(-1, value.shape[-1]).T if value.ndim > 1 else value[None])


def _picture(value: NDArray[np.float64]) -> str:
    from PIL import Image

    low, high = float(value.min()), float(value.max())
    pixels = np.round((value - low) * (255 / (high - low or 1.0))).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    image.save(out, "png", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    height, width = value.shape[:2]
    return f'<img src="data:image/png;base64,{data}" alt="" style="aspect-ratio:{width}/{height}">'


def _plot(lines: NDArray[np.float64]) -> str:
    """Return the channels of a signal as lines, each over the whole width."""
    low, high = float(lines.min()), float(lines.max())
    paths = []
    for k, line in enumerate(lines[:_LINES]):
        shown = line[:: -(-len(line) // _POINTS)]
        x = np.linspace(1, _WIDTH - 1, max(len(shown), 2))
        y = _HEIGHT - 3 - (shown - low) / (high - low or 1.0) * (_HEIGHT - 6)
        points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y, strict=False))
        paths.append(f'<polyline class="line{k}" points="{points}"/>')
    inner = "".join(paths)
    return f'<svg class="signal" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}">{inner}</svg>'
