"""Answers drawn into the picture that they are about: boxes, masks, skeletons, labels."""

import colorsys
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MisuseError
from littoral.model.place import Box
from littoral.model.tasks import keypoints
from littoral.model.tasks.answers import (
    Answer,
    Classification,
    Detection,
    Keypoints,
    Point,
    Pose,
    Segmentation,
)

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

_LEAST_SIDE: Final = 384  # pixels: a smaller picture is enlarged, or its labels would hide it
_FONTS: Final = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf")
_TURN: Final = 0.61803398875  # of the colour circle, from one class to the next
_TINT: Final = 0.5
_BACKGROUND: Final = ("background", "0")
_SEEN: Final = 0.2  # score of a point that is drawn
_LEAST_TEXT: Final = 13  # pixels
_LONGEST: Final = 48  # characters of a label


def draw(picture: "Image", answer: Answer) -> "Image":
    """Return a copy of ``picture``, as decoded, with ``answer`` in it.

    Raises:
        MisuseError: The answer is numbers, and shows nothing.

    """
    canvas = _Canvas(picture)
    match answer:
        case Classification(classes=classes):
            canvas.list([(f"{c.score:.2f} {c.label}", colour(c.index)) for c in classes])
        case Detection(objects=objects):
            for thing in reversed(objects):  # the surest on top
                name = f"{thing.label} {thing.score:.2f}"
                canvas.box(thing.box, colour(thing.index), name)
        case Segmentation():
            canvas.mask(answer)
            named = [r for r in answer.regions if r.label not in _BACKGROUND]
            canvas.list([(f"{r.label} {r.part:.0%}", colour(r.index)) for r in named])
        case Keypoints(poses=poses):
            for k, pose in enumerate(poses):
                canvas.pose(pose, colour(k))
        case _:
            raise MisuseError("--draw: there is nothing to draw of an answer that is numbers")
    return canvas.image


def colour(index: int) -> Colour:
    """Return the colour of a class: near ones are far apart."""
    r, g, b = colorsys.hsv_to_rgb((index * _TURN + 0.02) % 1.0, 0.85, 0.95)
    return round(r * 255), round(g * 255), round(b * 255)


def palette(classes: int = 256) -> bytes:
    """Return the colours of a mask's classes; the first, mostly the background, is black."""
    return bytes(3) + bytes(v for k in range(1, classes) for v in colour(k))


class _Canvas:
    def __init__(self, picture: "Image") -> None:
        from PIL import Image, ImageDraw

        image = picture.convert("RGB")
        times = math.ceil(_LEAST_SIDE / max(image.size))
        if times > 1:
            size = (image.width * times, image.height * times)
            image = image.resize(size, Image.Resampling.NEAREST)
        self.image = image
        self._pen = ImageDraw.Draw(image)
        self._size = np.array([image.width, image.height], np.float64)
        self._line = max(2, round(max(image.size) / 200))
        self._letters(max(_LEAST_TEXT, round(math.sqrt(image.width * image.height) / 30)))

    def box(self, box: Box, colour_: Colour, name: str) -> None:
        left, top = self._at(box.left, box.top)
        right, bottom = self._at(box.right, box.bottom)
        if right > left and bottom > top:
            self._pen.rectangle((left, top, right, bottom), outline=colour_, width=self._line)
            self._text((left, top), name, colour_, above=True)

    def mask(self, answer: Segmentation) -> None:
        from PIL import Image

        height, width = answer.mask.shape
        colours = np.frombuffer(palette(), np.uint8).reshape(-1, 3)
        tint = Image.fromarray(colours[answer.mask])
        shown: NDArray[np.uint8] = np.isin(answer.mask, list(_tinted(answer))).astype(np.uint8)
        alpha = Image.fromarray(shown * np.uint8(255 * _TINT))
        left, top = self._at(answer.box.left, answer.box.top)
        right, bottom = self._at(answer.box.right, answer.box.bottom)
        size = (max(1, right - left), max(1, bottom - top))
        if min(height, width):
            nearest = Image.Resampling.NEAREST
            self.image.paste(tint.resize(size, nearest), (left, top), alpha.resize(size, nearest))

    def pose(self, pose: Pose, colour_: Colour) -> None:
        points = pose.points
        for a, b in keypoints.BONES:
            if _seen(points[a]) and _seen(points[b]):
                ends = (*self._at(points[a].x, points[a].y), *self._at(points[b].x, points[b].y))
                self._pen.line(ends, fill=colour_, width=self._line)
        radius = self._line * 1.6
        for point in filter(_seen, points):
            x, y = self._at(point.x, point.y)
            where = (x - radius, y - radius, x + radius, y + radius)
            self._pen.ellipse(where, fill=(255, 255, 255), outline=colour_, width=2)
        if pose.box is not None:
            self.box(pose.box, colour_, f"{pose.score:.2f}")

    def list(self, rows: Sequence[tuple[str, Colour]]) -> None:
        """Write ``rows`` under one another, at the top left; smaller where one is too long."""
        room = self.image.width - 4 * self._line
        widest = max((self._width(_plain(text, self._font)) for text, _ in rows), default=0)
        if widest > room:
            self._letters(max(_LEAST_TEXT, math.floor(self._pixels * room / widest)))
        y = self._line
        for text, colour_ in rows:
            if y < self.image.height:
                y = self._text((self._line, y), text, colour_)

    def _text(self, at: tuple[int, int], text: str, colour_: Colour, *, above: bool = False) -> int:
        """Write in a box of ``colour_`` that stays in the picture; return where it ends."""
        pad = self._line
        words = _plain(text, self._font)
        width = self._width(words) + 2 * pad
        while width > self.image.width and len(words) > 1:
            words = _plain(f"{words[:-2]}…", self._font)
            width = self._width(words) + 2 * pad
        height = round(self._bottom - self._top) + 2 * pad
        x = max(0, min(at[0], self.image.width - width))
        y = max(0, min(at[1] - (height if above else 0), self.image.height - height))
        self._pen.rectangle((x, y, x + width, y + height), fill=colour_)
        ink = (0, 0, 0) if _light(colour_) else (255, 255, 255)
        self._pen.text((x + pad, y + pad - self._top), words, fill=ink, font=self._font)
        return y + height + 2

    def _letters(self, pixels: int) -> None:
        self._pixels = pixels
        self._font = _font(pixels)
        _, self._top, _, self._bottom = self._pen.textbbox((0, 0), "Éy", font=self._font)

    def _width(self, words: str) -> int:
        return round(self._pen.textlength(words, font=self._font))

    def _at(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel of a place in the picture, and of one outside the nearest."""
        spot = np.clip(np.nan_to_num([x, y]), -0.01, 1.01) * self._size
        return round(float(spot[0])), round(float(spot[1]))


def _tinted(answer: Segmentation) -> Iterator[int]:
    for region in answer.regions:
        if region.label not in _BACKGROUND:
            yield region.index


def _seen(point: Point) -> bool:
    return point.score >= _SEEN


def _light(colour_: Colour) -> bool:
    r, g, b = colour_
    return 299 * r + 587 * g + 114 * b > 140_000  # noqa: PLR2004 (of 255,000)


def _font(pixels: int) -> Any:  # noqa: ANN401 (Pillow's two kinds have no common one)
    from PIL import ImageFont

    for name in _FONTS:
        try:
            return ImageFont.truetype(name, pixels)
        except OSError:  # not on this machine, or Pillow without FreeType
            continue
    try:
        return ImageFont.load_default(pixels)
    except TypeError:  # before Pillow 10.1 it has one size
        return ImageFont.load_default()


def _plain(text: str, font: Any) -> str:  # noqa: ANN401
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    if hasattr(font, "getmask2"):
        return short
    return short.encode("latin-1", "replace").decode("latin-1")  # all that Pillow's own font has
