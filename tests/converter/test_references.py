"""Beside models that others quantized: the command makes better ones of the same float models."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from converter.conftest import Littoral
from converter.crops import CALIBRATION, SHARED, crops
from littoral_converter.ptq import observe

TINY_ML = SHARED / "models/mlperf_tiny"
pytestmark = pytest.mark.skipif(not TINY_ML.exists(), reason="shared models are not here")

Floats = NDArray[np.float32]


def same(one: Floats, other: Floats) -> float:
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


def test_keyword_spotting_is_right_as_often_as_the_reference(
    littoral: Littoral, tmp_path: Path
) -> None:
    data = np.load(SHARED / "data/kws01/kws01_dev.npz")
    order = np.random.default_rng(0).permutation(len(data["x"]))
    x, y = data["x"][order], data["y"][order]
    np.savez(tmp_path / "calibration.npz", x=x[:100], y=y[:100])
    np.savez(tmp_path / "evaluation.npz", x=x[100:], y=y[100:])
    (variant,) = littoral(
        "convert", TINY_ML / "kws_ref_model_float32.tflite", "-o", tmp_path / "out", "--json",
        "--name", "keywords", "--calibration", tmp_path / "calibration.npz",
        "--evaluation", tmp_path / "evaluation.npz",
    ).json["variants"]  # fmt: skip
    known = (TINY_ML / "kws_ref_model_int8.tflite").read_bytes()
    theirs = float((observe.answers(known, x[100:]).argmax(axis=1) == y[100:]).mean())
    assert variant["accuracy"] >= theirs
    assert variant["agreement"] >= 0.984
    assert variant["fully_integer"]


@pytest.mark.slow
def test_resnet8_of_keras_2_is_nearer_than_the_reference_and_as_small(
    littoral: Littoral, tmp_path: Path
) -> None:
    calibration, evaluation = crops()
    np.save(tmp_path / "calibration.npy", calibration)
    np.save(tmp_path / "evaluation.npy", evaluation)
    (tmp_path / "recipe.toml").write_text(f"[calibration]\nsamples = {CALIBRATION}\n")
    (variant,) = littoral(
        "convert", TINY_ML / "resnet8.h5", "-o", tmp_path / "out", "--json", "--name", "resnet",
        "--calibration", tmp_path / "calibration.npy", "--recipe", tmp_path / "recipe.toml",
        "--evaluation", tmp_path / "evaluation.npy",
    ).json["variants"]  # fmt: skip
    exact, known = (
        (TINY_ML / f"resnet8_{kind}.tflite").read_bytes() for kind in ("float32", "int8")
    )
    theirs = same(*(observe.answers(model, evaluation) for model in (exact, known)))
    assert variant["agreement"] >= 0.95 > theirs
    assert variant["fully_integer"]
    assert variant["bytes"] <= 1.05 * len(known)
