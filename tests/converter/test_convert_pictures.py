"""A conversion whose samples are a folder of pictures and a TFRecord, by the real command."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from converter.conftest import Converted, Littoral
from converter.samples.writing import example, record
from littoral.bundle.manifest import Manifest
from littoral.bundle.preprocessing import Preprocessing

RECIPE = """
[input.preprocessing]
range = [0, 1.0625]   # pixels of 0, 15, 30, … 240 become the 0 to 1 that the model was trained on
[data]
x = "scan"
"""


def png(sample: Any) -> bytes:
    out = io.BytesIO()
    pixels = np.rint(sample[..., 0] * 16 * 15).astype(np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def given(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    train, test = (np.load(models / f"{name}.npz") for name in ("train", "test"))
    for number, (sample, digit) in enumerate(zip(train["x"], train["y"], strict=True)):
        place = folder / "train" / str(digit)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(png(sample))
    (folder / "train/3/notes.txt").write_text("not so clear")
    records = (
        record(example({"scan": png(sample), "label": int(digit)}))
        for sample, digit in zip(test["x"], test["y"], strict=True)
    )
    (folder / "test.tfrecord").write_bytes(b"".join(records))
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def test_pictures_give_the_model_that_arrays_give(
    digits: Converted, given: Path, models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out", "--json",
        "--recipe", given / "recipe.toml",
        "--calibration", given / "train", "--evaluation", given / "test.tfrecord",
    )  # fmt: skip
    assert ran.json["float"] == digits.said["float"]
    (variant,) = ran.json["variants"]
    assert variant["agreement"] >= 0.98
    warnings = [line for line in ran.err.splitlines() if line.startswith("warning")]
    assert warnings == ["warning: train: files left out, for their names are no pictures': 1"]
    told = Manifest.from_json((tmp_path / "out/manifest.json").read_bytes())
    assert told.inputs[0].preprocessing == Preprocessing(
        size=(8, 8), channels="gray", range=(0.0, 1.0625)
    )
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["calibration"]["samples"] == 200
    assert report["evaluation"]["name"] == "test.tfrecord"
    compare = ("compare", tmp_path / "out", tmp_path / "out/model-int8.tflite", "--json")
    told_by_the_bundle = littoral(*compare, "--data", given / "train").json
    assert told_by_the_bundle["a"]["accuracy"] > 0.95


def test_what_makes_figures_worth_nothing_is_said(
    given: Path, models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    """The same pictures with no word of their scale, evaluated on what was calibrated on."""
    (tmp_path / "recipe.toml").write_text("[guard]\nmax_accuracy_drop = 1\nmix = false\n")
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out", "--json",
        "--recipe", tmp_path / "recipe.toml",
        "--calibration", given / "train", "--evaluation", given / "train",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "pictures went in as pixels of 0 to 255" in ran.err
    assert "200 of the 1437 samples of train were calibrated on, too" in ran.err


def test_a_broken_picture_is_named(
    given: Path, models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/cut.png").write_bytes(png(np.random.default_rng(0).random((8, 8, 1)))[:80])
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out",
        "--calibration", tmp_path / "data", "--recipe", given / "recipe.toml",
    )  # fmt: skip
    assert ran.code == 1
    assert "1 of 1 cannot be read: a/cut.png (the picture is damaged" in ran.err
    assert ran.err.endswith("[malformed]\n")
    assert not (tmp_path / "out").exists()
