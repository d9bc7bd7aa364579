import base64
import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from converter.samples.writing import example, record
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import MalformedError
from littoral_converter import data
from littoral_converter.recipe import Examples
from littoral_converter.samples import example as examples
from littoral_converter.samples.asked import Asked, SamplesError

# Two examples, as tf.io.TFRecordWriter of TensorFlow 2.21 wrote them: x (floats), y, odd, note.
TENSORFLOWS = zlib.decompress(
    base64.b85decode(
        b"c-o6(fPgO9)NNehT!LIIdHE%&LY!ReT&!uCMa3mt(p=2>DJeoCQbJq;fB!=PV*>~%a7l78RtSj*0i}Ru*fTIJ"
        b"*w4V=;K0Dp;K0Sj#aJoCD#gsj$oS;nXAfJbMG2lC-*8!T2|+F5;^N?9D^5+$&r3lutN~~kg98@B80PH^-~|9S"
        b"DJgv"
    )
)


def written(path: Path, *records: dict[str, Any]) -> Path:
    path.write_bytes(b"".join(record(example(features)) for features in records))
    return path


def png(pixels: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_what_tensorflow_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(TENSORFLOWS)
    found = data.read(path)
    assert found.x.tolist() == [[0.5, -1.25, 3, 4], [1, 2, 3, 4]]
    assert found.y is not None
    assert found.y.tolist() == [1, 0]
    shaped = data.read(path, Asked(shape=(2, 2)))
    assert shaped.x.shape == (2, 2, 2)


def test_all_kinds_of_features_are_read_as_tensorflow_wrote_them() -> None:
    length = int.from_bytes(TENSORFLOWS[:8], "little")
    found = examples.parse(TENSORFLOWS[12 : 12 + length])
    assert found["note"] == [b"first"]
    assert np.asarray(found["odd"]).tolist() == [-3, 2**40]


def test_ours_are_tensorflows() -> None:
    ours = example({"x": [1.0, 2.0, 3.0, 4.0], "y": 0, "note": b"second"})
    assert examples.parse(ours).keys() == {"x", "y", "note"}
    assert len(record(ours)) == len(ours) + 16


def test_encoded_pictures_are_prepared(tmp_path: Path) -> None:
    pixels = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    path = written(
        tmp_path / "p",
        *({"image/encoded": png(pixels), "image/class/label": k} for k in (1, 3)),
    )
    want = Asked(preprocessing=Preprocessing(range=(0.0, 1.0)), examples=Examples(first_class=1))
    found = data.read(path, want, into=tmp_path / "x.npy")
    assert found.x[1] == pytest.approx(pixels / 255)
    assert found.y is not None
    assert found.y.tolist() == [0, 2]
    assert found.preprocessing == Preprocessing(size=(4, 6), channels="rgb", range=(0.0, 1.0))


def test_bytes_that_are_no_picture_are_numbers_of_the_kind_that_is_said(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.int16) - 3
    path = written(tmp_path / "r", {"data": values.tobytes()})
    want = Asked(shape=(2, 3), examples=Examples(dtype="int16"))
    assert np.array_equal(data.read(path, want).x, values.reshape(1, 2, 3))
    with pytest.raises(MalformedError, match=r"12 bytes that are no picture: say \[input\] shape"):
        data.read(path)
    with pytest.raises(MalformedError, match=r"expected \[2, 3\], found 12 numbers"):
        data.read(path, Asked(shape=(2, 3)))


def test_parts_in_a_folder_are_one_and_may_be_gzipped(tmp_path: Path) -> None:
    for k in range(3):
        written(tmp_path / f"d.tfrecord-0000{k}-of-00003", {"x": [k, k + 0.5], "y": k})
    packed = tmp_path / "d.tfrecord-00001-of-00003"
    packed.write_bytes(gzip.compress(packed.read_bytes()))
    found = data.read(tmp_path)
    assert found.x.tolist() == [[0, 0.5], [1, 1.5], [2, 2.5]]


def test_the_chosen_ones_come_from_all_classes(tmp_path: Path) -> None:
    records = [{"x": [float(k), 0.0], "y": int(k == 57)} for k in range(60)]
    found = data.read(written(tmp_path / "d", *records), Asked(most=4))
    assert found.y is not None
    assert found.y.tolist().count(1) == 1
    assert (len(found), found.of) == (4, 60)


@pytest.mark.parametrize(
    ("records", "asked", "words"),
    [
        ([{"a": [1.0], "b": [2.0]}], Asked(), "which feature is the sample? there are: a, b; say"),
        ([{"a": [1.0]}], Asked(examples=Examples(x="q")), "no feature 'q'; there are: a"),
        ([{"x": [1.0]}], Asked(examples=Examples(y="q")), "no feature 'q'; there are: x"),
        ([{"x": [1.0], "y": [1, 2]}], Asked(), "'y': expected one whole number"),
        ([{"x": [1.0], "y": b"cat"}], Asked(), "'y': expected one whole number"),
        ([{"x": [1.0], "y": 0}], Asked(examples=Examples(first_class=1)), "1 and above, found 0"),
        ([{"x": [1.0, 2.0]}, {"x": [1.0]}], Asked(), "record 1: feature 'x' is [1], and those"),
        ([{"x": [1.0]}, {"z": [1.0]}], Asked(), "record 1: no feature 'x'; there are: z"),
        ([{"x": [float("nan")]}], Asked(), "record 0: feature 'x' holds NaN"),
    ],
)
def test_what_is_no_sample_is_named(
    tmp_path: Path, records: list[dict[str, Any]], asked: Asked, words: str
) -> None:
    with pytest.raises(MalformedError, match="d") as caught:
        data.read(written(tmp_path / "d", *records), asked)
    assert words in str(caught.value)


def test_damage_anywhere_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path / "d", *({"x": [float(k)] * 8} for k in range(3)))
    whole = path.read_bytes()
    for at in range(12, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(MalformedError, match=r"record [012]: it was damaged"):
            data.read(path)
    third = len(whole) // 3
    for end in set(range(13, len(whole))) - {third, 2 * third}:
        path.write_bytes(whole[:end])
        with pytest.raises(MalformedError, match="the file ends within it"):
            data.read(path)


def test_a_gzip_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d"
    rng = np.random.default_rng(0)
    many = b"".join(record(example({"x": rng.random(64)})) for _ in range(20))
    path.write_bytes(gzip.compress(many)[:-200])
    with pytest.raises(MalformedError, match="record"):
        data.read(path)


def test_an_example_that_is_none_is_never_a_crash() -> None:
    rng = np.random.default_rng(0)
    good = example({"x": [1.0, 2.0], "y": 3, "image": b"abc"})
    for _ in range(3000):
        bad = bytearray(good)
        for at in rng.integers(0, len(bad), 2):
            bad[at] = rng.integers(0, 256)
        try:
            examples.parse(bytes(bad[: rng.integers(1, len(bad) + 1)]))
        except SamplesError:
            continue
