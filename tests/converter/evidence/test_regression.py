"""A model that answers numbers, judged by true numbers: converted and compared by the commands."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from converter.conftest import Littoral
from patience import patient

MODEL = """
import sys, keras, numpy as np
folder = sys.argv[1]
keras.utils.set_random_seed(3)
rng = np.random.default_rng(3)
x = rng.uniform(-1, 1, (600, 6)).astype("float32")
y = (x[:, :1] * 2 - x[:, 1:2] * x[:, 2:3] + 5).astype("float32")
layers = keras.layers
model = keras.Sequential([keras.Input((6,)), layers.Dense(16, "relu"), layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x[:400], y[:400], epochs=30, verbose=0)
model.save(f"{folder}/prices.keras")
np.savez(f"{folder}/train.npz", x=x[:400], y=y[:400])
np.savez(f"{folder}/test.npz", x=x[400:], y=y[400:])
np.save(f"{folder}/answers.npy", model.predict(x[400:], verbose=0))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prices")
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", MODEL, str(made)]
    subprocess.run(command, check=True, capture_output=True, env=quiet, timeout=patient(200))
    return made


@pytest.fixture(scope="module")
def report(folder: Path, littoral: Littoral) -> Any:
    ran = littoral(
        "convert", folder / "prices.keras", "-o", folder / "prices-1",
        "--calibration", folder / "train.npz", "--evaluation", folder / "test.npz",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "mean absolute error" in ran.out
    assert "nobody knows" not in ran.err
    return json.loads((folder / "prices-1" / "report.json").read_text())


def test_true_numbers_make_errors_and_no_classes(report: Any, folder: Path) -> None:
    y, answers = np.load(folder / "test.npz")["y"], np.load(folder / "answers.npy")
    (variant,) = report["variants"]
    found = variant["regression"]
    assert found["samples"] == 200
    assert found["float_errors"]["mae"] == pytest.approx(mean_absolute_error(y, answers), rel=1e-4)
    assert found["float_errors"]["r2"] == pytest.approx(r2_score(y, answers), rel=1e-4)
    assert found["int8_errors"]["mae"] < found["float_errors"]["mae"] + 0.05
    assert report["task"] == "raw"
    assert "score" not in variant
    page = (folder / "prices-1" / "report.html").read_text()
    assert "How near both lie to the true numbers" in page
    assert "mean absolute; float" in page


def test_compare_gives_the_same_figures(report: Any, folder: Path, littoral: Littoral) -> None:
    command = ("compare", folder / "prices-1", folder / "prices-1" / "model-int8.tflite")
    said = littoral(*command, "--data", folder / "test.npz", "--json").json
    (variant,) = report["variants"]
    assert said["a"]["errors"] == said["b"]["errors"]
    assert said["a"]["errors"]["rmse"] == variant["regression"]["int8_errors"]["rmse"]
    assert said["agreement"] is None
    assert "R²" in littoral(*command, "--data", folder / "test.npz").out
