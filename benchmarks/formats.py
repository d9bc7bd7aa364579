"""Whether one network becomes the same integers, whatever format it comes in.

    .venv/bin/python benchmarks/formats.py

A CNN is trained on 8,000 of MNIST's 10,000 test digits, saved as .keras, HDF5 of Keras 2 and 3,
SavedModel, ONNX, .pt2 and .tflite by each framework itself, and each is converted by the command.
Said is how often each pair of INT8 models agrees on the 2,000 other digits.
"""

import gzip
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
MNIST = ROOT.parent / "shared/data/mnist"
TRAINED = 8000
LEAST = 0.99
FIRST = (".onnx", ".pt2")  # these take their channels first


def main() -> None:
    if not MNIST.exists():
        print(json.dumps({"skipped": "the digits are not here"}))
        return
    if importlib.util.find_spec("tf_keras") is None or importlib.util.find_spec("onnx") is None:
        print(json.dumps({"skipped": "the converter's packages are not installed"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"rows": rows(Path(folder))}))


def rows(folder: Path) -> list[dict[str, Any]]:
    x, y = digits()
    make(folder, x[:TRAINED], y[:TRAINED])
    for name, order in (("last", x), ("first", np.moveaxis(x, -1, 1))):
        np.savez(folder / f"train-{name}.npz", x=order[:500])
        np.savez(folder / f"test-{name}.npz", x=order[TRAINED:], y=y[TRAINED:])
    found: list[dict[str, Any]] = []
    classes: dict[str, NDArray[Any]] = {}
    for model in sorted((folder / "models").iterdir()):
        start = time.monotonic()
        said = convert(folder, model)
        took = time.monotonic() - start
        (variant,) = said["variants"]
        classes[model.name] = answers(Path(variant["path"]), x[TRAINED:]).argmax(axis=1)
        what = f"MNIST from {model.name}"
        drop = 100 * (said["float"]["accuracy"] - variant["accuracy"])
        found += [
            {"what": f"{what}, INT8 is right", "value": 100 * variant["accuracy"], "unit": "%"},
            {"what": f"{what}, lost", "value": drop, "unit": "points", "most": 0.5},
            {"what": f"{what}, time", "value": took, "unit": "s"},
        ]
    pairs = [(a == b).mean() for a, b in itertools.combinations(classes.values(), 2)]
    least = {"what": f"MNIST: {len(pairs)} pairs agree, at least", "value": 100 * min(pairs)}
    return [*found, least | {"unit": "%", "least": 100 * LEAST}]


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    images = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    x = np.frombuffer(images, np.uint8).reshape(-1, 28, 28, 1) / np.float32(255)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order].astype(np.float32), np.frombuffer(labels, np.uint8).astype(np.int64)[order]


def make(folder: Path, x: NDArray[np.float32], y: NDArray[np.int64]) -> None:
    """Train the CNN, and save it in all formats."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=4, batch_size=64, verbose=0)
    (folder / "models").mkdir()
    model.save(folder / "trained.keras")
    script = ROOT / "tests/converter/make_formats.py"
    command = [sys.executable, str(script), str(folder / "trained.keras"), str(folder / "models")]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(folder / "models/several")  # a test's


def convert(folder: Path, model: Path) -> dict[str, Any]:
    name = "first" if model.suffix in FIRST else "last"
    command = [
        *(sys.executable, "-m", "littoral", "convert", str(model), "--json", "--name", "mnist"),
        *("-o", str(folder / f"bundle-{model.name}")),
        *("--calibration", str(folder / f"train-{name}.npz")),
        *("--evaluation", str(folder / f"test-{name}.npz")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{model.name}: {done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def answers(model: Path, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    from littoral.model import tensors
    from littoral.model.backends import open_session

    session = open_session("litert", model.read_bytes())
    (taken,), (given,) = session.inputs, session.outputs
    raw = [session.run(tensors.quantize(one[None], taken))[0] for one in samples]
    return tensors.dequantize(np.concatenate(raw), given)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
