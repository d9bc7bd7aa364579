"""Trains small CNNs on scikit-learn's handwritten digits: 1,797 real scans of 8 by 8 pixels.

A script of its own, because TensorFlow takes half a gigabyte and the story should not:

    .venv/bin/python demo/train.py OUT digits-1:seed=1 digits-2:seed=2:width=16

It writes OUT/<name>.keras for each, calibration.npz (x) and test.npz (x, y, labels), and prints
one JSON object with the float accuracy of each on the test set. The split is always the same.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its sums depend on the number of threads

import numpy as np
from numpy.typing import NDArray

TEST = 360  # samples, of 1,797
CALIBRATION = 200
LABELS = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


@dataclass(frozen=True)
class Plan:
    """One model to train: ``width`` filters, and ``dense`` neurons before the answer, if any."""

    name: str
    seed: int = 1
    width: int = 8
    dense: int = 0
    epochs: int = 12

    @classmethod
    def parse(cls, words: str) -> "Plan":
        name, *rest = words.split(":")
        return cls(name, **{key: int(value) for key, value in (word.split("=") for word in rest)})


@dataclass(frozen=True)
class Digits:
    x: NDArray[np.float32]  # [n, 8, 8, 1], 0 to 1
    y: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


def digits() -> Digits:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    order = np.random.default_rng(20).permutation(len(x))
    x, y = x[order], labels[order].astype(np.int64)
    return Digits(x[TEST:], y[TEST:], x[:TEST], y[:TEST])


def train(plan: Plan, data: Digits) -> Any:  # noqa: ANN401 (Keras has no types)
    import keras

    keras.utils.set_random_seed(plan.seed)
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 8, 1), name="image")])
    model.add(layers.Conv2D(plan.width, 3, padding="same", activation="relu"))
    model.add(layers.MaxPooling2D())
    model.add(layers.Conv2D(2 * plan.width, 3, padding="same", activation="relu"))
    model.add(layers.Flatten())
    if plan.dense:
        model.add(layers.Dense(plan.dense, activation="relu"))
        model.add(layers.Dense(plan.dense, activation="relu"))
    model.add(layers.Dense(10, activation="softmax", name="digit"))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(data.x, data.y, batch_size=64, epochs=plan.epochs, verbose=0)
    return model


def main(args: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("plans", nargs="+", type=Plan.parse, metavar="NAME[:seed=N][:width=N]…")
    asked = parser.parse_args(args)
    asked.out.mkdir(parents=True, exist_ok=True)
    data = digits()
    np.savez(asked.out / "calibration.npz", x=data.x[:CALIBRATION])
    np.savez(asked.out / "test.npz", x=data.x_test, y=data.y_test, labels=LABELS)
    told = {}
    for plan in asked.plans:
        started = time.monotonic()
        model = train(plan, data)
        model.save(asked.out / f"{plan.name}.keras")
        guessed = model.predict(data.x_test, verbose=0).argmax(axis=1)
        told[plan.name] = {
            "accuracy": float((guessed == data.y_test).mean()),
            "parameters": int(model.count_params()),
            "seconds": round(time.monotonic() - started, 2),
        }
    print(json.dumps({"models": told, "test_samples": TEST, "training_samples": len(data.x)}))


if __name__ == "__main__":
    main(sys.argv[1:])
