"""How a picture becomes a model's input: said once, to converter, devices and phones alike.

Holds the words and their rules; refuses to know what carries them out (littoral.model.images).
"""

from dataclasses import dataclass
from typing import Final, Literal

PIXELS: Final = (0.0, 255.0)  # as they are
_SIDES: Final = 2
_MAX_SIDE: Final = 16384
_DEPTHS: Final = {"rgb": 3, "bgr": 3, "gray": 1}
_PLAIN: Final = ("bilinear", "nearest")  # filters that others, too, have without antialiasing


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Resized, then ``(low + pixel * (high - low) / 255 - mean) / std``; a pixel is 0 to 255."""

    size: tuple[int, ...] | None = None  # [height, width]; without it the model's own
    resize: Literal["stretch", "crop", "pad"] = "stretch"  # what becomes of another aspect
    shorter: int | None = None  # for crop: so long is the shorter side before the middle is cut out
    fill: int = 0  # for pad: the gray of the border
    filter: Literal["bilinear", "nearest", "bicubic", "lanczos", "area"] = "bilinear"
    antialias: bool = True  # false: as tf.image.resize and Keras's folder reader do it
    channels: Literal["rgb", "bgr", "gray"] | None = None  # without it by the model's depth
    range: tuple[float, ...] = PIXELS  # what 0 and 255 become
    mean: tuple[float, ...] = ()  # one a channel, or one for all; in the scale of range
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.size is not None and (
            len(self.size) != _SIDES or not all(1 <= n <= _MAX_SIDE for n in self.size)
        ):
            raise ValueError(f"size: expected [height, width], found {list(self.size)}")
        self._check_resize()
        if len(self.range) != _SIDES or self.range[0] == self.range[1]:
            raise ValueError(f"range: expected two different numbers, found {list(self.range)}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in {0, 1, self.depth or 3}:
                raise ValueError(f"{name}: expected one number, or one a channel")
        if not all(value > 0 for value in self.std):
            raise ValueError(f"std: expected more than 0, found {list(self.std)}")

    def _check_resize(self) -> None:
        if self.shorter is not None:
            least = max(self.size or (1,))
            if self.resize != "crop" or not least <= self.shorter <= _MAX_SIDE:
                raise ValueError(f"shorter: is for resize = 'crop', and at least {least}")
        if not 0 <= self.fill <= 255:  # noqa: PLR2004
            raise ValueError(f"fill: expected 0 to 255, found {self.fill}")
        if not self.antialias and self.filter not in _PLAIN:
            raise ValueError(f"antialias: false goes with {', '.join(_PLAIN)}, not {self.filter}")

    @property
    def depth(self) -> int | None:
        """Return how many channels the input has, None if the model decides."""
        return None if self.channels is None else _DEPTHS[self.channels]

    @property
    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return means and deviations of pixels, as ``(pixel - mean) / deviation`` wants them."""
        low, high = self.range
        unit = 255 / (high - low)
        count = max(len(self.mean), len(self.std), 1)
        means, stds = (self.mean or (0.0,), self.std or (1.0,))
        return (
            tuple((m - low) * unit for m in _each(means, count)),
            tuple(s * unit for s in _each(stds, count)),
        )

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest number that a picture can become."""
        pairs = tuple(zip(*self.normalization, strict=True))
        ends = [(pixel - mean) / deviation for mean, deviation in pairs for pixel in (0, 255)]
        return min(ends), max(ends)


def _each(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    return values * count if len(values) == 1 else values
