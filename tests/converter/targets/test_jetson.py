"""ONNX for Jetsons, of a public float model: as good as INT8 TFLite, the same bytes every time."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).parents[3].parent / "shared"
MODEL = SHARED / "models/mlperf_tiny/kws_ref_model_float32.tflite"
DATA = SHARED / "data/kws01/kws01_dev.npz"
SCRIPT = """
import sys
from pathlib import Path
from littoral import records
from littoral_converter.targets import jetson
job = records.from_json(jetson.Job, Path(sys.argv[1]).read_bytes(), limit=2**20)
print(records.to_json(jetson.run(job, say=lambda _: None)).decode())
"""

DENSE = """
from pathlib import Path
import numpy as np
import tensorflow as tf
from littoral_converter.targets import jetson
weights = tf.constant(np.array([[1, 0], [0, 1], [1, 1]], np.float32))
@tf.function(input_signature=[tf.TensorSpec((1, 2, 2, 3), tf.float32)])
def ask(x):
    pooled = tf.reduce_mean(x, (1, 2), keepdims=True)
    return tf.matmul(tf.reshape(pooled, (1, 3)), weights) + [9., 7.]
asked = tf.lite.TFLiteConverter.from_concrete_functions([ask.get_concrete_function()])
Path("m.tflite").write_bytes(asked.convert())
x = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3) % 7
x[0] = [2, 3, 6]
for name in "csg":
    np.save(name + ".npy", x)
jetson.run(jetson.Job(model=Path("m.tflite"), folder=Path(), calibration=Path("c.npy"),
    samples=Path("s.npy"), golden=Path("g.npy"), input_name="x", output_name="y", opset=17,
    ranges="minmax"), say=lambda _: None)
print(np.load("model-float32.npy")[:1].tolist())
"""


def made(folder: Path, *, seed: str) -> Any:
    """Make it in a process with other addresses, and sets in the order of ``seed``."""
    folder.mkdir()
    beside = folder.parent
    job = {
        "model": str(MODEL), "folder": str(folder), "calibration": str(beside / "c.npy"),
        "samples": str(beside / "s.npy"), "golden": str(beside / "c.npy"),
        "input_name": "sound", "output_name": "word", "opset": 13, "ranges": "minmax",
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, folder / "job.json"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": seed, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def digests(folder: Path) -> list[str]:
    names = ("model-float32.onnx", "model-int8.onnx")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


@pytest.mark.skipif(not MODEL.is_file(), reason="../shared/models is not there")
def test_keyword_spotting(tmp_path: Path) -> None:
    samples = np.load(DATA)["x"].astype(np.float32)
    np.save(tmp_path / "c.npy", samples[:100])
    np.save(tmp_path / "s.npy", samples[100:])
    told = made(tmp_path / "1", seed="1")
    made(tmp_path / "2", seed="2")
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    floats = {one["name"]: one["floats"] for one in told["after"]["operators"]}
    assert floats["Conv"] == floats["Gemm"] == 0
    before, after = (np.load(tmp_path / f"1/model-{kind}.npy") for kind in ("float32", "int8"))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() >= 0.97


def test_a_dense_layer_behind_a_pooling_that_keeps_its_dimensions_keeps_its_bias(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DENSE],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"},
        cwd=tmp_path,
    )
    assert done.stdout.splitlines()[-1] == "[[17.0, 16.0]]"
