"""Models for phones: pixels where a pixel says it exactly, and MediaPipe Tasks takes them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from littoral.bundle.manifest import Tensor
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import ConversionError
from littoral.model.backends import open_session
from littoral_converter.targets import mobile
from littoral_converter.targets.borders import Pixels

SHARED = Path(__file__).parents[3].parent / "shared"
MODEL = SHARED / "models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite"
# A Python that has the public judge: it needs packages that nothing of ours needs.
MEDIAPIPE = Path(os.environ.get("LITTORAL_MEDIAPIPE", ".venv/mediapipe/bin/python"))
KWS = SHARED / "models/mlperf_tiny/kws_ref_model_int8.tflite"
INPUT = Tensor(name="input", shape=(1, 224, 224, 3), dtype="uint8", scale=1 / 127.5, zero_point=127)
OUTPUT = Tensor(name="Identity", shape=(1, 1001), dtype="uint8", scale=1 / 256)


def job(out: Path, **changed: object) -> mobile.Job:
    given: dict[str, object] = {
        "model": MODEL,
        "out": out,
        "name": "things",
        "label": "1",
        "task": "classification",
        "input": INPUT,
        "output": OUTPUT,
        "preprocessing": Preprocessing(range=(-1.0, 1.0)),
        "labels": None,
    }
    return mobile.Job(**given | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (Preprocessing(), Pixels(scale=1.0, zero_point=0)),
        (Preprocessing(range=(0.0, 1.0)), Pixels(scale=1 / 255, zero_point=0)),
        (Preprocessing(mean=(128.0,), std=(64.0,)), Pixels(scale=1 / 64, zero_point=128)),
        (Preprocessing(range=(-1.0, 1.0)), None),  # 127.5 becomes 0
        (Preprocessing(mean=(1.0, 2.0, 3.0)), None),
        (Preprocessing(mean=(-5.0,)), None),
        (Preprocessing(range=(1.0, 0.0)), None),  # dark is bright
    ],
)
def test_pixels_go_in_as_they_are_where_a_scale_says_it_exactly(
    told: Preprocessing, wanted: Pixels | None
) -> None:
    found = mobile.pixels(told)
    if wanted is None or found is None:
        assert found is wanted
    else:
        assert found.zero_point == wanted.zero_point
        assert found.scale == pytest.approx(wanted.scale)


def test_a_model_of_pictures_needs_to_know_what_a_pixel_is(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"\[input\.preprocessing\] range = \[0\.0, 1\.0\]"):
        mobile.run(job(tmp_path / "m", preprocessing=None), say=lambda _: None)


@pytest.mark.skipif(not KWS.is_file(), reason="../shared/models is not there")
def test_a_keyword_spotters_spectrum_is_no_picture(tmp_path: Path) -> None:
    """Unless the recipe says how a pixel becomes a number: a line of text has such a shape, too."""
    session = open_session("litert", KWS.read_bytes())
    (source,), (answer,) = session.inputs, session.outputs
    assert source.shape == (1, 49, 10, 1)
    given: dict[str, object] = {"model": KWS, "input": source, "output": answer}
    said = Preprocessing(range=(0.0, 1.0))
    for told, takes in ((None, "float32"), (said, "uint8")):
        out = tmp_path / f"{takes}.tflite"
        made = mobile.run(job(out, preprocessing=told, **given), say=lambda _: None)
        assert (made.takes, made.picture) == (takes, told is not None)
        (seen,) = open_session("litert", out.read_bytes()).inputs
        assert (seen.dtype, seen.shape) == (takes, source.shape)


def test_blue_before_red_has_no_word_on_phones(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="red, green, blue and no other order"):
        mobile.run(
            job(tmp_path / "m", preprocessing=Preprocessing(channels="bgr")), say=lambda _: None
        )


JUDGE = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(
    base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=1)
with vision.ImageClassifier.create_from_options(options) as task:
    found = task.classify(mediapipe.Image.create_from_file(sys.argv[2]))
best = found.classifications[0].categories[0]
print(json.dumps([best.category_name, best.index, best.score]))
"""


@pytest.mark.skipif(not MODEL.is_file(), reason="../shared/models is not there")
@pytest.mark.skipif(
    not MEDIAPIPE.is_file(),
    reason="MediaPipe is not here: make judges",
)
@pytest.mark.parametrize(
    ("told", "takes"),
    [
        (Preprocessing(range=(-1.0, 1.0)), "float32"),
        (Preprocessing(mean=(128.0,), std=(127.5,)), "uint8"),
    ],
)
def test_mediapipe_tasks_takes_it_as_it_is(tmp_path: Path, told: Preprocessing, takes: str) -> None:
    labels = (SHARED / "data/images/imagenet_labels.txt").read_text().splitlines()
    out = tmp_path / "things.tflite"
    made = mobile.run(job(out, preprocessing=told, labels=tuple(labels)), say=lambda _: None)
    assert made.takes == takes
    picture = SHARED / "data/images/cat.bmp"
    done = subprocess.run(
        [MEDIAPIPE, "-c", JUDGE, out, picture], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    name, index, score = json.loads(done.stdout)
    assert (name, index) == ("Egyptian cat", 286)
    assert score > 0.5
