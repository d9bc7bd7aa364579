"""Trains and saves the Keras models of the converter's tests, in a process of its own.

Usage: make_models.py FOLDER
"""

import os
import sys
from pathlib import Path

os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

layers = keras.layers


def digits(folder: Path) -> None:
    """Train a small CNN on handwritten digits, and keep its samples."""
    keras.utils.set_random_seed(1)
    scans = load_digits()
    x = (scans.images / 16).astype(np.float32)[..., None]
    parts = train_test_split(x, scans.target, test_size=360, random_state=0, stratify=scans.target)
    x_train, x_test, y_train, y_test = parts
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x_train, y_train, epochs=10, batch_size=32, verbose=0)
    model.save(folder / "digits.keras")
    np.save(folder / "test-answers.npy", model.predict(x_test, verbose=0))
    np.savez(folder / "train.npz", x=x_train, y=y_train)
    np.savez(folder / "test.npz", x=x_test, y=y_test)


def strange(folder: Path) -> None:
    """Save models that cannot be converted, each for a reason of its own."""
    loops(folder)
    halves(folder)
    series = keras.Input((12, 6))
    waves = keras.ops.sin(layers.Dense(8)(series))  # a sine has no integer kernel
    keras.Model(series, layers.GlobalAveragePooling1D()(waves)).save(folder / "waves.keras")
    keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    ).save(folder / "dynamic.keras")
    keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2), layers.Dense(2)]).save(
        folder / "lambda.keras"
    )
    rng = np.random.default_rng(0)
    np.save(folder / "series.npy", rng.random((120, 12, 6), dtype=np.float32))
    np.save(folder / "pictures.npy", rng.random((120, 16, 16, 3), dtype=np.float32))
    np.save(folder / "vectors.npy", rng.random((120, 4), dtype=np.float32))


def halves(folder: Path) -> None:
    """Save a model that computes in float16, in all ways that Keras has."""
    half = {"dtype": "mixed_float16"}
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, name="half", **half),
            layers.Flatten(),
            keras.Sequential([keras.Input((144,)), layers.Dense(10, **half)]),
            layers.Activation("softmax", dtype="float32"),
        ]
    )
    model.save(folder / "half.keras")
    model.export(folder / "half", verbose=False)


def loops(folder: Path) -> None:
    """Save models with recurrent layers, each converted in its own way."""
    kinds = {
        "lstm": [layers.LSTM(8)],
        # tf-keras, which would make one operator of the LSTM, has no such normalization.
        "unfusable": [layers.RMSNormalization(), layers.LSTM(8)],
        "masked": [layers.Masking(), layers.GRU(8)],
    }
    for name, first in kinds.items():
        keras.Sequential(
            [keras.Input((12, 6)), *first, layers.Dense(4, activation="softmax")]
        ).save(folder / f"{name}.keras")


if __name__ == "__main__":
    digits(Path(sys.argv[1]))
    strange(Path(sys.argv[1]))
