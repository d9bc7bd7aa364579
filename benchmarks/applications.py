"""What a conversion costs beside TensorFlow's own converter: large networks of keras.applications.

    .venv/bin/python benchmarks/applications.py [ROUNDS]

MobileNetV2, MobileNetV3-Small and EfficientNet-B0 with random weights, their normalizations
warmed, as .keras. In turn: the command, and a bare script (load, export at batch 1, INT8 by
TFLiteConverter) with the same 100 calibration samples. The command also runs the float and the INT8
model on all of them, times both, and writes a bundle with its evidence. Processor time is of all
processes; the ratio is of medians.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = 100
NAMES = ("MobileNetV2", "MobileNetV3Small", "EfficientNetB0")
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}
MAKE = """
import sys
import keras, numpy as np
name, out = sys.argv[1:]
keras.utils.set_random_seed(0)
model = getattr(keras.applications, name)(weights=None, input_shape=(224, 224, 3))
x = np.random.default_rng(0).random((8, 224, 224, 3), dtype=np.float32)
for layer in model.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.momentum = 0.3
for _ in range(6):  # or what flows grows with every layer
    model(x, training=True)
model.save(out)
"""
BARE = """
import sys
import keras, numpy as np, tensorflow as tf
model, samples, folder, out = sys.argv[1:]
m, x = keras.saving.load_model(model, compile=False), np.load(samples)
archive = keras.export.ExportArchive()
archive.track(m)
spec = keras.InputSpec(shape=(1, *x.shape[1:]), dtype="float32", name="input")
archive.add_endpoint("serve", lambda v: m(v, training=False), input_signature=[spec])
archive.write_out(folder, verbose=False)
c = tf.lite.TFLiteConverter.from_saved_model(folder)
c.optimizations = [tf.lite.Optimize.DEFAULT]
c.representative_dataset = lambda: ([v[None]] for v in x)
c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
c.inference_input_type = c.inference_output_type = tf.int8
open(out, "wb").write(c.convert())
"""


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_s: float
    peak_bytes: int


def main() -> None:
    if importlib.util.find_spec("tensorflow") is None:
        print(json.dumps({"skipped": "TensorFlow is not installed"}))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found: list[dict[str, Any]] = []
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            found += rows(name, Path(folder), rounds)
    print(json.dumps({"rows": found}))


def rows(name: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    model, samples = folder / f"{name}.keras", folder / "samples.npy"
    timed("-c", MAKE, name, str(model))
    rng = np.random.default_rng(1)
    np.save(samples, rng.random((SAMPLES, 224, 224, 3), dtype=np.float32))
    recipe = folder / "recipe.toml"
    recipe.write_text("[quantize]\nallow_float = true\n[guard]\nmix = false\n")
    ours, bare = [], []
    for k in range(rounds):
        out = folder / f"bundle-{k}"
        ours.append(
            timed(
                *("-m", "littoral", "convert", str(model), "-o", str(out), "--no-cache"),
                *("--calibration", str(samples), "--recipe", str(recipe), "--name", "network"),
            )
        )
        target = str(folder / "bare.tflite")
        bare.append(timed("-c", BARE, str(model), str(samples), str(folder / f"s{k}"), target))
    report = json.loads((folder / "bundle-0/report.json").read_text())
    floats = {o["name"]: o["floats"] for o in report["variants"][0]["operators"] if o["floats"]}
    peak = max(cost.peak_bytes for cost in ours)
    return [
        {"what": f"{name}: operators in floats", "value": sum(floats.values()), "unit": ""},
        {"what": f"{name}: time", "value": median(ours, "seconds"), "unit": "s"},
        {
            "what": f"{name}: time of the bare script's",
            "value": median(ours, "seconds") / median(bare, "seconds"),
            "unit": "x",
            "most": 1.1,
        },
        {
            "what": f"{name}: processor time of the bare script's",
            "value": median(ours, "cpu_s") / median(bare, "cpu_s"),
            "unit": "x",
        },
        {"what": f"{name}: largest process", "value": peak / 1e9, "unit": "GB", "most": 1.5},
    ]


def median(costs: list[Cost], figure: str) -> float:
    return float(statistics.median(getattr(cost, figure) for cost in costs))


def timed(*arguments: str) -> Cost:
    """Run Python with ``arguments``, and return what that and all its children took."""
    with tempfile.TemporaryFile() as said:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | QUIET,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode()[-2000:])
    return Cost(seconds, used.ru_utime + used.ru_stime, peak_bytes=used.ru_maxrss * 1024)


if __name__ == "__main__":
    main()
