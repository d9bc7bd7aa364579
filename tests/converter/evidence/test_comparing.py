"""Two models held side by side, by the command."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.conftest import Converted, Littoral
from littoral_converter.evidence import worst

SHARED = Path(__file__).parents[4] / "shared"
TINY = SHARED / "models" / "mlperf_tiny"


@pytest.fixture(scope="module")
def said(digits: Converted, models: Path, littoral: Littoral) -> Any:
    """Keras itself against the bundle that was made of it."""
    command = ("compare", models / "digits.keras", digits.bundle)
    return littoral(*command, "--data", models / "test.npz", "--json").json


def test_a_framework_and_its_bundle_get_the_figures_of_the_conversion(
    said: Any, digits: Converted
) -> None:
    (variant,) = digits.said["variants"]
    assert said["samples"] == 360
    assert said["agreement"] == variant["agreement"]
    assert said["a"]["accuracy"] == digits.said["float"]["accuracy"]
    assert said["b"]["accuracy"] == variant["accuracy"]
    assert (said["a"]["fully_integer"], said["b"]["fully_integer"]) == (None, True)
    assert said["b"]["name"] == "digits:1"
    macro = said["b"]["rating"]["macro"]
    f1s = [one["f1"] for one in said["b"]["rating"]["classes"]]
    assert macro["f1"] == pytest.approx(np.mean(f1s))


def test_the_worst_samples_are_those_that_are_answered_otherwise(said: Any, models: Path) -> None:
    y = np.load(models / "test.npz")["y"]
    found = said["worst"]
    assert len(found) == worst.MOST
    assert all(one["true"] == y[one["sample"]] for one in found)
    other = [one["a"] != one["b"] for one in found]
    assert other == sorted(other, reverse=True)
    assert sum(other) == min(worst.MOST, round((1 - said["agreement"]) * 360))


def test_each_tensor_that_both_have_is_told_of(said: Any) -> None:
    layers = said["tensors"]
    assert {"CONV_2D", "SOFTMAX"} <= {one["operator"] for one in layers}
    assert all(0 < one["error"] < 0.3 for one in layers)
    assert all(one["cosine"] > 0.95 for one in layers)


def test_a_model_is_like_itself(digits: Converted, models: Path, littoral: Littoral) -> None:
    model = digits.bundle / "model-int8.tflite"
    ran = littoral("compare", model, model, "--data", models / "test.npz")
    assert ran.code == 0, ran.err
    assert "same answer: 100.00% of 360 samples in test.npz" in ran.out
    assert "samples answered most differently" not in ran.out
    assert "0.0%" in ran.out


def test_what_cannot_be_compared_is_said(
    digits: Converted, models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    model = digits.bundle / "model-int8.tflite"
    ran = littoral("compare", model, model, "--data", models / "vectors.npy")
    assert (ran.code, "[8, 8, 1]" in ran.err) == (2, True), ran.err
    broken = Path(shutil.copytree(digits.bundle, tmp_path / "broken"))
    with (broken / "model-int8.tflite").open("ab") as file:
        file.write(b"\0")
    ran = littoral("compare", model, broken, "--data", models / "test.npz")
    assert ran.err.rstrip().endswith("[hash]"), ran.err


@pytest.mark.skipif(not TINY.is_dir(), reason="the shared models are not here")
def test_the_reference_models_of_keyword_spotting(littoral: Littoral) -> None:
    """Files of other people's converters, of float32 and of int8."""
    pair = (TINY / "kws_ref_model_float32.tflite", TINY / "kws_ref_model_int8.tflite")
    found = littoral(
        "compare", *pair, "--data", SHARED / "data" / "kws01" / "kws01_dev.npz", "--json"
    ).json
    assert found["agreement"] == pytest.approx(0.988)
    assert found["a"]["accuracy"] == pytest.approx(0.892)
    assert len(found["tensors"]) == 13
    assert json.dumps(found["worst"][0]["sample"]).isdigit()
