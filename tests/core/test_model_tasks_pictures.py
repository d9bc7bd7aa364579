import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from littoral.bundle.manifest import Task, Tensor
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError
from littoral.model import tensors
from littoral.model.tasks import pictures

PHOTOGRAPH = Path(__file__).parents[3] / "shared/data/images/parrot.jpg"


def spec(*shape: int, dtype: Any = "uint8", **said: Any) -> Tensor:
    return Tensor(name="image", shape=(1, *shape), dtype=dtype, **said)


def saved(width: int, height: int, kind: str = "PNG", mode: str = "RGB", **said: Any) -> bytes:
    """Return a picture that is lighter to the right and bottom."""
    y, x = np.mgrid[:height, :width]
    ramp = ((x / width + y / height) * 127).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(ramp).convert(mode).save(out, kind, **said)
    return out.getvalue()


@pytest.mark.parametrize(
    ("tensor", "side", "depth", "layout"),
    [
        (spec(8, 6, 3), (8, 6), 3, "last"),
        (spec(8, 6, 1), (8, 6), 1, "last"),
        (spec(8, 6), (8, 6), 1, "flat"),
        (spec(3, 8, 6), (8, 6), 3, "first"),
        (spec(3, 8, 3, layout="NCHW"), (8, 3), 3, "first"),
        (spec(3, 8, 3), (3, 8), 3, "last"),
    ],
)
def test_inputs_for_pictures_are_known_by_their_shape(
    tensor: Tensor, side: tuple[int, int], depth: int, layout: str
) -> None:
    found = pictures.entry((tensor,))
    assert (found.side, found.depth, found.layout) == (side, depth, layout)
    entered = pictures.enter(saved(20, 20), found)
    assert entered.real.shape == tensor.shape[1:]


@pytest.mark.parametrize(
    "inputs", [(), (spec(8, 8, 3), spec(8, 8, 3)), (spec(10),), (spec(8, 8, 2),), (spec(40, 3),)]
)
def test_other_inputs_take_no_picture(inputs: tuple[Tensor, ...]) -> None:
    with pytest.raises(MalformedError, match="picture is for"):
        pictures.entry(inputs)


SAID = Preprocessing(range=(0.0, 1.0))


@pytest.mark.parametrize(
    ("tensor", "task", "said"),
    [
        (spec(49, 10, 1), "classification", "takes 49 by 10 numbers"),
        (spec(1, 49, 10), "raw", "takes 49 by 10 numbers"),
        (spec(128, 9), "embedding", "takes 128 by 9 numbers"),
        (spec(28, 28, 1), "classification", None),
        (spec(49, 10, 3), "classification", None),
        (spec(49, 10, 1, preprocessing=SAID), "classification", None),
        (spec(49, 10, 1), "keypoints", None),
    ],
)
def test_what_may_be_a_sounds_input_is_doubted(
    tensor: Tensor, task: Task, said: str | None
) -> None:
    pictures.entry((tensor,))
    doubt = pictures.doubt((tensor,), task)
    assert doubt is None if said is None else said in str(doubt)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"),
    [("uint8", 0.0, 0), ("uint8", 1 / 128, 128), ("int8", 1 / 255, -128), ("int8", 0.02, 5)],
)
def test_without_a_preprocessing_pixels_are_what_is_stored(
    dtype: Any, scale: float, zero: int
) -> None:
    tensor = spec(4, 4, 1, dtype=dtype, scale=scale, zero_point=zero)
    pixels = np.arange(0, 256, 16, dtype=np.uint8).reshape(4, 4)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    entered = pictures.enter(out.getvalue(), pictures.entry((tensor,)))
    stored = tensors.quantize(entered.real, tensor)[..., 0].astype(int)
    assert np.array_equal(stored, pixels.astype(int) - (128 if dtype == "int8" else 0))


def test_a_preprocessing_for_another_input_is_refused() -> None:
    for wanted in (Preprocessing(size=(9, 8)), Preprocessing(channels="gray")):
        with pytest.raises(MalformedError, match="another size or depth"):
            pictures.entry((spec(8, 8, 3, preprocessing=wanted),))


def test_a_padded_picture_says_where_it_lies() -> None:
    into = pictures.entry((spec(40, 40, 3, preprocessing=Preprocessing(resize="pad", fill=255)),))
    entered = pictures.enter(saved(80, 20), into)
    assert (entered.real[:15] == 255).all()
    assert (entered.real[15:25] < 255).any()
    where = entered.place
    assert (where.top, where.left, where.bottom, where.right) == (15 / 40, 0, 25 / 40, 1)
    assert (where.y(15 / 40), where.y(25 / 40), where.y(0.5)) == pytest.approx((0, 1, 0.5))


def test_a_cropped_picture_reaches_beyond_the_input() -> None:
    wanted = Preprocessing(resize="crop", shorter=60)
    into = pictures.entry((spec(40, 40, 3, preprocessing=wanted),))
    where = pictures.enter(saved(120, 60), into).place
    assert (where.left, where.right) == (-1, 2)
    assert (where.top, where.bottom) == (-0.25, 1.25)
    assert where.x(0.5) == pytest.approx(0.5)


@pytest.mark.skipif(not PHOTOGRAPH.is_file(), reason="needs the shared pictures")
def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same() -> None:
    with Image.open(PHOTOGRAPH) as opened:
        large = opened.resize((2048, 3716), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    large.save(out, "JPEG", quality=92)
    tensor = spec(224, 224, 3)
    into = pictures.entry((tensor,))
    assert into.enough == 448
    quick = pictures.enter(out.getvalue(), into).real
    single = pictures.entry((spec(224, 224, 3, preprocessing=Preprocessing(filter="nearest")),))
    assert single.enough is None
    whole = pictures.enter(out.getvalue(), _whole(into)).real
    off = np.abs(quick - whole)
    assert 0 < off.mean() < 1
    assert np.quantile(off, 0.99) < 6


def _whole(into: pictures.Entry) -> Any:
    class Whole:
        enough = None
        side, depth, layout, wanted = into.side, into.depth, into.layout, into.wanted

    return Whole()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "found none"),
        (b"GIF89a" + b"\0" * 20, "found none"),
        (saved(30, 30, "GIF"), "expected a picture .JPEG, PNG, BMP., found none"),
        (saved(30, 30, "TIFF"), "found none"),
        (saved(100, 100, "PNG")[:150], "damaged or cut short"),
        (saved(300, 400, "PNG"), "at most 100000 pixels, found 300 by 400"),
    ],
)
def test_what_is_no_picture_for_clients_is_refused_in_words(data: bytes, why: str) -> None:
    into = pictures.entry((spec(8, 8, 3),))
    with pytest.raises(MalformedError, match=why):
        pictures.enter(data, into, kinds=pictures.KINDS, most_pixels=100_000)


@pytest.mark.parametrize("kind", pictures.KINDS)
def test_a_damaged_picture_is_refused_or_read_and_nothing_else(kind: str) -> None:
    """Bytes are turned, cut out, repeated: what comes is a picture or a MalformedError."""
    whole, random = saved(90, 60, kind), np.random.default_rng(7)
    into = pictures.entry((spec(16, 16, 3),))
    read = 0
    for _ in range(150):
        data = bytearray(whole)
        for at in random.integers(0, len(data), random.integers(1, 6)):
            data[at] = random.integers(0, 256)
        if random.random() < 0.3:
            start, end = sorted(random.integers(0, len(data), 2))
            data[start:end] = data[start:end] * int(random.integers(0, 3))
        try:
            pictures.enter(bytes(data), into, kinds=pictures.KINDS, most_pixels=100_000)
        except MalformedError:
            continue
        read += 1
    assert read
