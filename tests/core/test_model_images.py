import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError
from littoral.model import images

RAMP = np.arange(24 * 16 * 3, dtype=np.uint32).reshape(24, 16, 3).astype(np.uint8)


def encoded(pixels: NDArray[Any], kind: str = "PNG", **said: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **said)
    return out.getvalue()


def prepared(
    data: bytes, *, size: tuple[int, int] | None = None, depth: int = 3, **said: Any
) -> Any:
    return images.prepare(images.decode(data), Preprocessing(**said), size=size, depth=depth)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_pixels_are_what_was_saved(kind: str) -> None:
    found = prepared(encoded(RAMP, kind))
    assert found.dtype == np.float32
    assert np.array_equal(found, RAMP)


def test_a_camera_that_lay_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter, clockwise
    found = prepared(encoded(RAMP, "PNG", exif=exif))
    assert np.array_equal(found, np.rot90(RAMP, -1))


def test_a_turned_picture_of_16_bits_keeps_its_upper_8() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    deep = (np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000).astype(np.uint16)
    found = prepared(encoded(deep, "PNG", exif=exif), depth=1)
    assert np.array_equal(found[..., 0], np.rot90(deep >> 8, 2))


def test_colours_become_gray_and_gray_becomes_colours() -> None:
    gray = RAMP[..., 0]
    assert np.array_equal(prepared(encoded(gray), depth=3), np.stack([gray] * 3, axis=-1))
    found = prepared(encoded(RAMP), depth=1)
    assert found.shape == (24, 16, 1)
    assert np.abs(found[..., 0] - RAMP @ [0.299, 0.587, 0.114]).max() <= 1


def test_a_palette_and_transparency_are_colours() -> None:
    out = io.BytesIO()
    Image.fromarray(np.full((4, 4, 4), [200, 10, 20, 0], np.uint8)).save(out, "PNG")
    assert prepared(out.getvalue())[0, 0].tolist() == [200, 10, 20]
    out = io.BytesIO()
    Image.fromarray(RAMP).quantize(4).save(out, "GIF")
    assert prepared(out.getvalue()).shape == (24, 16, 3)


def test_numbers_are_as_pytorch_has_them() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    found = prepared(encoded(RAMP), range=(0.0, 1.0), mean=mean, std=std)
    assert found == pytest.approx((RAMP / 255 - mean) / std, abs=1e-5)


def test_blue_may_come_first() -> None:
    found = prepared(encoded(RAMP), channels="bgr", mean=(1.0, 2.0, 3.0))
    assert np.array_equal(found, RAMP[..., ::-1].astype(np.float32) - [1, 2, 3])


def test_another_aspect_is_stretched_cut_or_framed() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255  # the middle is white
    stretched = prepared(encoded(wide), size=(10, 10), filter="nearest")
    assert stretched[5, :, 0].tolist() == [0] * 3 + [255] * 4 + [0] * 3
    cut = prepared(encoded(wide), size=(10, 10), resize="crop")
    assert (cut == 255).all()
    framed = prepared(encoded(wide), size=(30, 30), resize="pad", fill=7)
    assert (framed[:10] == 7).all()
    assert (framed[20:] == 7).all()
    assert np.array_equal(framed[10:20], wide)


def test_the_shorter_side_is_made_so_long_before_the_middle_is_cut_out() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[10:30, 30:50] = 255
    found = prepared(encoded(picture), size=(10, 10), resize="crop", shorter=20, filter="area")
    assert (found == 255).all()


def test_without_antialiasing_old_pixels_in_between_are_left_out() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::4] = 255  # at 0 and 4; a new pixel lies between old 1 and 2, or 5 and 6
    assert prepared(encoded(stripes), size=(2, 2), antialias=False).max() == 0
    assert prepared(encoded(stripes), size=(2, 2)).max() > 30


@pytest.mark.parametrize("cut", [0, 7, 60, 200])
def test_a_picture_that_is_cut_short_is_refused(cut: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 16, 3), np.uint8)
    for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP"):
        with pytest.raises(MalformedError):
            images.decode(encoded(noise, kind)[:cut])


def test_damage_is_refused_and_never_a_crash() -> None:
    rng = np.random.default_rng(0)
    whole = {kind: encoded(RAMP, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")}
    for kind, data in whole.items():
        for _ in range(60):
            bad = bytearray(data)
            for at in rng.integers(0, len(bad), 3):
                bad[at] = rng.integers(0, 256)
            try:
                prepared(bytes(bad), size=(8, 8))
            except MalformedError:
                continue
            except Warning:  # what Pillow says of odd pictures that it can read
                continue
            except BaseException as e:
                raise AssertionError(kind) from e


def test_a_size_that_is_said_to_be_huge_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 24 * 16 - 1)
    with pytest.raises(MalformedError, match="at most 383 pixels, found 16 by 24"):
        images.decode(encoded(RAMP))


def test_no_warning_is_printed_of_a_picture_as_large_as_may_be() -> None:
    """It is a head and no more, so it is soon refused."""
    head = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    parts = (b"IHDR" + head, b"IDAT" + zlib.compress(bytes(9)))
    chunks = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    with pytest.raises(MalformedError, match="damaged or cut short"):
        images.decode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def test_a_file_that_runs_another_program_is_no_picture() -> None:
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(MalformedError, match="found none"):
        images.decode(postscript)


def test_means_for_other_channels_than_there_are_are_refused() -> None:
    with pytest.raises(MalformedError, match="for 3 channels, and the model has 1"):
        prepared(encoded(RAMP), depth=1, mean=(1.0, 2.0, 3.0))


def test_each_channel_has_a_mean_of_its_own() -> None:
    found = prepared(encoded(RAMP), channels="bgr", mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0))
    expected = (RAMP[..., ::-1].astype(np.float64) - [1, 2, 3]) / [1, 2, 4]
    assert np.array_equal(found, expected.astype(np.float32))
