"""Pictures into a model's input, the same on the host and on a device. docs/recipes.md.

What a picture's file says is not believed: kinds that run other programs or hold others are
none here, and the size is looked at before a pixel is decoded. Refuses to know any model.
"""

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS: Final = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
MAX_BYTES: Final = 256 * 2**20
MAX_PIXELS: Final = 100_000_000
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


def decode(data: bytes) -> "Image":
    """Return the picture in ``data``, upright, in 8 bits a channel, decoded.

    Raises:
        MalformedError: It is none, or damaged, or too large.

    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if len(data) > MAX_BYTES:
        raise MalformedError(f"expected a picture of at most {MAX_BYTES} bytes, found {len(data)}")
    try:
        with Image.open(io.BytesIO(data), formats=KINDS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise MalformedError(
                    f"expected at most {MAX_PIXELS} pixels, found {width} by {height}"
                )
            opened.load()
            return ImageOps.exif_transpose(_eight_bits(opened))
    except UnidentifiedImageError as e:
        raise MalformedError(f"expected a picture ({', '.join(KINDS)}), found none") from e
    except Image.DecompressionBombError as e:
        raise MalformedError(f"expected at most {MAX_PIXELS} pixels: {e}") from e
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
    """
    colours = picture.convert("L" if depth == 1 else "RGB")
    height_width = wanted.size or size
    if height_width is not None:
        height, width = height_width
        colours = _resize(colours, wanted, (width, height))
    pixels = np.asarray(colours, np.float32).reshape(colours.height, colours.width, depth)
    if wanted.channels == "bgr":
        pixels = pixels[..., ::-1]
    means, deviations = (np.asarray(v, np.float64) for v in wanted.normalization)
    return np.ascontiguousarray((pixels - means) / deviations, dtype=np.float32)


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
            ratio = min(want / have for want, have in zip(size, picture.size, strict=True))
            inner = _scale(picture, wanted, _times(picture.size, ratio))
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
