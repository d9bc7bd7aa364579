"""Pictures into a model's input, the same on the host and on a device. docs/recipes.md.

What a picture's file says is not believed: kinds that run other programs or hold others are
none here, and the size is looked at before a pixel is decoded. Refuses to know any model.
"""

import io
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError
from littoral.model.place import Place

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS: Final = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
MAX_BYTES: Final = 256 * 2**20
MAX_PIXELS: Final = 100_000_000
_BEGINNINGS: Final = (b"\xff\xd8\xff", b"\x89PNG")
_BROKEN: Final = (  # what Pillow's decoders raise on files that are damaged
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def decode(
    data: bytes,
    *,
    kinds: tuple[str, ...] = KINDS,
    most_pixels: int | None = None,
    enough: int | None = None,
) -> "Image":
    """Return the picture in ``data``, upright, in 8 bits a channel, decoded.

    Of a JPEG no more is decoded than leaves each side ``enough`` pixels: an eighth of it costs a
    fifth of the time.

    Raises:
        MalformedError: It is none of these kinds, or damaged, or too large.

    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    # It warns of pictures that are not too large by our own measure, in two lines on a terminal.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    most_pixels = most_pixels or MAX_PIXELS
    if len(data) > MAX_BYTES:
        raise MalformedError(f"expected a picture of at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        with Image.open(io.BytesIO(data), formats=kinds) as opened:
            width, height = opened.size
            if width * height > most_pixels:
                raise MalformedError(
                    f"expected at most {most_pixels} pixels, found {width} by {height}"
                )
            if enough is not None:
                opened.draft("RGB", (enough, enough))
            opened.load()
            return ImageOps.exif_transpose(_eight_bits(opened))
    except UnidentifiedImageError as e:
        if data.startswith(_BEGINNINGS):
            raise MalformedError(
                "the picture is damaged: only its beginning is one (curl: --data-binary, not -d)"
            ) from e
        raise MalformedError(f"expected a picture ({', '.join(kinds)}), found none") from e
    except Image.DecompressionBombError as e:
        raise MalformedError(f"expected at most {most_pixels} pixels: {e}") from e
    except _BROKEN as e:
        raise MalformedError(f"the picture is damaged or cut short: {e}") from e


def _eight_bits(picture: "Image") -> "Image":
    """Return ``picture`` as Pillow can convert it: of 16 bits it would keep the wrong 8."""
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture
    exif, values = picture.getexif(), np.asarray(picture).clip(0, 65535)
    found = Image.fromarray((values >> 8).astype(np.uint8))
    found.info["exif"] = exif.tobytes()
    return found


def prepare(
    picture: "Image", wanted: Preprocessing, *, size: tuple[int, int] | None, depth: int
) -> NDArray[np.float32]:
    """Return [height, width, depth], as ``wanted`` has it.

    ``size`` is [height, width] where ``wanted`` does not say it; None leaves the picture's own.

    Raises:
        MalformedError: ``wanted`` is for another depth.

    """
    colours = picture.convert("L" if depth == 1 else "RGB")
    height_width = wanted.size or size
    if height_width is not None:
        height, width = height_width
        colours = _resize(colours, wanted, (width, height))
    pixels = np.asarray(colours).reshape(colours.height, colours.width, depth)
    if wanted.channels == "bgr":
        pixels = pixels[..., ::-1]
    return _normalized(pixels, wanted)


def _normalized(pixels: NDArray[np.uint8], wanted: Preprocessing) -> NDArray[np.float32]:
    """Return what ``pixels`` become; there are but 256, so each is computed once."""
    means, deviations = (np.asarray(v, np.float64) for v in wanted.normalization)
    known = np.arange(256, dtype=np.float32)[:, None]
    table = ((known - means) / deviations).astype(np.float32)
    depth = pixels.shape[2]
    if table.shape[1] == 1:
        return np.take(table[:, 0], pixels)
    if table.shape[1] != depth:
        raise MalformedError(
            f"mean and std are for {table.shape[1]} channels, and the model has {depth}"
        )
    made = np.empty(pixels.shape, np.float32)
    for channel in range(depth):
        made[..., channel] = np.take(table[:, channel], pixels[..., channel])
    return made


def place(have: tuple[int, int], wanted: Preprocessing, size: tuple[int, int]) -> Place:
    """Return where ``prepare`` puts a picture of ``have`` pixels; both (width, height)."""
    if wanted.resize == "stretch":
        return Place()
    crop = wanted.resize == "crop"
    inner = _covering(have, size, wanted.shorter) if crop else _inside(have, size)
    left, top = (
        -((large - small) // 2) if crop else (small - large) // 2
        for large, small in zip(inner, size, strict=True)
    )
    width, height = size
    return Place(top / height, left / width, (top + inner[1]) / height, (left + inner[0]) / width)


def _resize(picture: "Image", wanted: Preprocessing, size: tuple[int, int]) -> "Image":
    """Return ``picture`` in ``size``, (width, height) as Pillow has it."""
    from PIL import Image

    match wanted.resize:
        case "stretch":
            return _scale(picture, wanted, size)
        case "crop":
            larger = _scale(picture, wanted, _covering(picture.size, size, wanted.shorter))
            left, top = (
                (large - small) // 2 for large, small in zip(larger.size, size, strict=True)
            )
            return larger.crop((left, top, left + size[0], top + size[1]))
        case "pad":
            inner = _scale(picture, wanted, _inside(picture.size, size))
            framed = Image.new(picture.mode, size, (wanted.fill,) * len(picture.getbands()))
            framed.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
            return framed


def _covering(have: tuple[int, int], want: tuple[int, int], shorter: int | None) -> tuple[int, int]:
    if shorter is not None:
        ratio = shorter / min(have)
    else:
        ratio = max(w / h for w, h in zip(want, have, strict=True))
    width, height = _times(have, ratio)
    return max(width, want[0]), max(height, want[1])


def _inside(have: tuple[int, int], want: tuple[int, int]) -> tuple[int, int]:
    return _times(have, min(w / h for w, h in zip(want, have, strict=True)))


def _times(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _scale(picture: "Image", wanted: Preprocessing, size: tuple[int, int]) -> "Image":
    from PIL import Image

    if picture.size == size:
        return picture
    filters: dict[str, Any] = {
        "bilinear": Image.Resampling.BILINEAR,
        "nearest": Image.Resampling.NEAREST,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
        "area": Image.Resampling.BOX,
    }
    chosen = filters[wanted.filter]
    if wanted.antialias:
        return picture.resize(size, chosen)
    # Each new pixel looks at its nearest old ones alone, however many there are between two.
    steps = (picture.width / size[0], 0, 0, 0, picture.height / size[1], 0)
    return picture.transform(size, Image.Transform.AFFINE, steps, chosen)
