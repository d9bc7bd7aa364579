"""Kinds of quantizing and the guard, by the command, on a float .tflite file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from converter.conftest import Littoral, Ran
from littoral.bundle.manifest import Manifest

TINY = Path(__file__).parents[1] / "fixtures/tiny_float.tflite"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of samples; the model is asked 500 that it was not calibrated on."""
    folder = tmp_path_factory.mktemp("samples")
    images = load_digits().images[..., None].astype(np.float32) / 16
    shuffled = np.random.default_rng(0).permutation(images)
    np.save(folder / "calibration.npy", shuffled[:60])
    np.save(folder / "evaluation.npy", shuffled[400:900])
    return folder


@pytest.fixture
def convert(littoral: Littoral, samples: Path, tmp_path: Path) -> Any:
    def run(recipe: str) -> Ran:
        (tmp_path / "recipe.toml").write_text(recipe)
        return littoral(
            "convert", TINY, "-o", tmp_path / "out", "--force", "--json", "--name", "digits",
            "--calibration", samples / "calibration.npy", "--recipe", tmp_path / "recipe.toml",
            "--evaluation", samples / "evaluation.npy",
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("kind", "dtype", "integer"), [("dynamic", "float32", False), ("int16x8", "int16", True)]
)
def test_another_kind_is_a_variant_of_its_name(
    convert: Any, tmp_path: Path, kind: str, dtype: str, *, integer: bool
) -> None:
    ran = convert(f'[quantize]\nkind = "{kind}"\n')
    (variant,) = ran.json["variants"]
    assert (variant["id"], variant["fully_integer"]) == (f"cpu-{kind}", integer)
    assert variant["agreement"] > 0.99
    assert "not fully integer" not in ran.err
    told = Manifest.from_json((tmp_path / "out/manifest.json").read_bytes())
    assert (told.inputs[0].dtype, told.outputs[0].dtype) == (dtype, dtype)
    assert told.variants[0].files == (f"model-{kind}.tflite",)
    operators = told.variants[0].requires.operators
    assert operators["CONV_2D"] == (5 if kind == "dynamic" else 4)


def test_the_guard_gives_floats_back_and_tells_the_price(convert: Any, tmp_path: Path) -> None:
    recipe = "[quantize]\nsteps = []\n[guard]\nmin_agreement = 0.999\n"
    ran = convert(recipe)
    (variant,) = ran.json["variants"]
    assert variant["agreement"] >= 0.999
    assert not variant["fully_integer"]
    assert "operators were given back floats; the model is 1." in ran.err
    curve = json.loads((tmp_path / "out/report.json").read_bytes())["quantized"]["mixed"]
    assert curve[0]["given"] == []
    assert curve[0]["bytes"] < curve[-1]["bytes"] == variant["bytes"]
    refused = convert(recipe + "mix = false\n")
    assert refused.code == 1
    assert "INT8 loses too much: it gives the float model's answer to 99." in refused.err
