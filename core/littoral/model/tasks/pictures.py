"""How a picture enters a model: what its one input wants, and where in it the picture lies.

Nothing here believes a picture: littoral.model.images decodes it, or says why not.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Task, Tensor
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError
from littoral.model import images, tensors
from littoral.model.place import Place

KINDS: Final = ("JPEG", "PNG", "BMP")  # that clients may send: each is a decoder more in serve
_DEPTHS: Final = (1, 3)
_SEEING: Final[tuple[str, ...]] = ("detection", "segmentation", "keypoints")  # only pictures
_GAP: Final = 2  # a JPEG is decoded to so many times the input's size at least
_SINGLE: Final = "nearest"  # looks at single pixels, which a smaller decoding does not have

_Layout = Literal["flat", "first", "last"]  # of an input's channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model's input for pictures. ``side``: height and width."""

    side: tuple[int, int]
    depth: int
    layout: _Layout
    wanted: Preprocessing

    @property
    def enough(self) -> int | None:
        """Return how many pixels a side of the picture needs to lose nothing; None: all."""
        if not self.wanted.antialias or self.wanted.filter == _SINGLE:
            return None
        return _GAP * max(*self.side, self.wanted.shorter or 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entered:
    real: NDArray[np.float32]  # one instance, as the model's input is shaped
    place: Place


def entry(inputs: tuple[Tensor, ...], *, ends: tuple[float, float] | None = None) -> Entry:
    """Return how pictures enter a model with these ``inputs``.

    ``ends``: what black and white become, where the manifest does not say it.

    Raises:
        MalformedError: They do not.

    """
    if len(inputs) != 1:
        raise MalformedError(f"a picture is for a model of one input, this has {len(inputs)}")
    (spec,) = inputs
    found = _shaped(spec)
    if found is None:
        raise MalformedError(
            f"input {spec.name}: a picture is for [n, height, width, 1 or 3], "
            f"this takes {list(spec.shape)}"
        )
    layout, height, width, depth = found
    wanted = spec.preprocessing or Preprocessing(range=ends or _range(spec))
    if wanted.depth not in {None, depth} or wanted.size not in {None, (height, width)}:
        raise MalformedError(
            f"input {spec.name}: the manifest's preprocessing is for another size or depth than "
            f"{list(spec.shape)}"
        )
    return Entry(side=(height, width), depth=depth, layout=layout, wanted=wanted)


def doubt(inputs: tuple[Tensor, ...], task: Task) -> str | None:
    """Return what is to be said where an input that pictures enter may be for something else.

    A sound's spectrum, or a sensor's values over time, has the shape of a grey picture; a grey
    picture's input is square as a rule, and whoever had it converted may have said how it enters.
    """
    spec = inputs[0]
    found = _shaped(spec)
    if found is None or sees(found[1:], spec.preprocessing, task=task):
        return None
    _, height, width, _ = found
    return (
        f"the model takes {height} by {width} numbers, and nothing says that they are a picture's: "
        "is it one for sound, or a sensor?"
    )


def sees(
    shape: tuple[int, int, int], preprocessing: Preprocessing | None, *, task: str | None
) -> bool:
    """Tell whether numbers of a picture's ``shape``, height, width and depth, are a picture's.

    Those are that somebody says it of, and else those of a shape that little else has.
    """
    height, width, depth = shape
    return preprocessing is not None or task in _SEEING or depth > 1 or height == width


def enter(
    data: bytes,
    into: Entry,
    *,
    kinds: tuple[str, ...] = images.KINDS,
    most_pixels: int | None = None,
) -> Entered:
    """Return the picture in ``data`` as the model takes it. Takes its time.

    Raises:
        MalformedError: It is none of these kinds, or damaged, or too large.

    """
    picture = images.decode(data, kinds=kinds, most_pixels=most_pixels, enough=into.enough)
    where = images.place(picture.size, into.wanted, into.side[::-1])
    real = images.prepare(picture, into.wanted, size=into.side, depth=into.depth)
    match into.layout:
        case "flat":
            real = real[..., 0]
        case "first":
            real = np.ascontiguousarray(real.transpose(2, 0, 1))
        case "last":
            pass
    return Entered(real=real, place=where)


def _shaped(spec: Tensor) -> tuple[_Layout, int, int, int] | None:
    match spec.shape[1:]:
        case height, width if min(height, width) > max(_DEPTHS):
            return "flat", height, width, 1
        case height, width, depth if depth in _DEPTHS and spec.layout != "NCHW":
            return "last", height, width, depth
        case depth, height, width if depth in _DEPTHS and spec.layout != "NHWC":
            return "first", height, width, depth
        case _:
            return None


def _range(spec: Tensor) -> tuple[float, float]:
    """Return what black and white become where nobody said it: the ends of what can be stored."""
    if not tensors.is_quantized(spec):
        return (0.0, 255.0)
    return tensors.ends(spec)
