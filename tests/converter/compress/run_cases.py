"""Compresses small networks in all ways, in one process of its own: TensorFlow is slow to start.

Usage: run_cases.py FOLDER, which holds digits.keras and train.npz. Leaves a folder for each case
and cases.json: what each step said, or the error.
"""

import dataclasses
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
}

import keras
import numpy as np
import tf_keras

from littoral import records
from littoral.errors import LittoralError
from littoral_converter.compress import steps
from littoral_converter.compress.steps import Job
from littoral_converter.recipe import Recipe

RECIPES = Path(__file__).parents[3] / "converter/recipes"
SHORT = {"epochs": 4}
PRUNE: dict[str, Any] = {"step": "prune", "sparsity": 0.7}
CLUSTER: dict[str, Any] = {"step": "cluster", "clusters": 12, "epochs": 1}
CASES: dict[str, list[dict[str, Any]]] = {
    "all": [PRUNE, CLUSTER, {"step": "qat", "epochs": 1}, {"step": "fine-tune", "epochs": 1}],
    "again": [PRUNE, CLUSTER, {"step": "qat", "epochs": 1}, {"step": "fine-tune", "epochs": 1}],
    "back": [{"step": "qat", "epochs": 1}, CLUSTER, PRUNE],
    "twice": [{**PRUNE, "sparsity": 0.5}, {**PRUNE, "sparsity": 0.8, "scope": "global"}],
    "block": [{**PRUNE, "structure": "block", "sparsity": 0.5, "skip": ["digit"]}],
    "named": [{**PRUNE, "layers": ["digit"]}],
    "stranger": [{**PRUNE, "layers": ["digits"]}],
    "hot": [{"step": "fine-tune", "learning_rate": 1e30}],
}


def run(folder: Path, name: str, model: Path, given: dict[str, Any], **more: Any) -> Any:
    """Take the steps of a recipe, and return what was said."""
    recipe = records.fill(Recipe, given)
    at = folder / name
    at.mkdir()
    (at / "model").symlink_to(model)  # told by its content, not by its name
    teachers = tuple("" if s.teacher is None else str(folder / s.teacher) for s in recipe.compress)
    job = Job(
        model=at / "model",
        folder=at,
        x=folder / "x.npy",
        y=folder / "y.npy",
        steps=recipe.compress,
        teachers=teachers,
        training=recipe.training,
    )
    try:
        return records.plain(steps.run(dataclasses.replace(job, **more), say=lambda _: None))
    except LittoralError as e:
        return {"error": e.line}


def strange(folder: Path) -> None:
    """Leave networks of other kinds, untrained, and a teacher of another task."""
    layers = keras.layers
    rows = keras.Input((8, 8))
    x = layers.MultiHeadAttention(2, 4)(rows, rows)
    out = layers.Dense(10, activation="softmax")(layers.LSTM(8)(x))
    keras.Model(rows, out).save(folder / "rows.keras")
    keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)]).save(
        folder / "other.keras"
    )
    old = tf_keras.layers
    tf_keras.Sequential(
        [
            tf_keras.Input((8, 8, 1)),
            old.SeparableConv2D(8, 3, activation="relu"),
            old.BatchNormalization(),
            old.ReLU(),
            old.Flatten(),
            old.Dense(10),
        ]
    ).save(folder / "old.h5")


def main(folder: Path) -> None:
    with np.load(folder / "train.npz") as data:
        np.save(folder / "x.npy", data["x"])
        np.save(folder / "flat.npy", data["x"][..., 0])
        np.save(folder / "y.npy", data["y"].astype(np.int64))
    strange(folder)
    digits = folder / "digits.keras"
    (folder / "teacher.keras").symlink_to(digits)
    said = {
        name: run(folder, name, digits, {"compress": case, "training": SHORT})
        for name, case in CASES.items()
    }
    short: dict[str, Any] = {
        "compress": [PRUNE, CLUSTER, {"step": "qat"}],
        "training": {"epochs": 1},
    }
    flat = folder / "flat.npy"
    said["rows"] = run(folder, "rows", folder / "rows.keras", short, x=flat)
    said["old"] = run(folder, "old", folder / "old.h5", short)
    said["alone"] = run(folder, "alone", digits, {"compress": [PRUNE], "training": SHORT}, y=None)
    said["flat"] = run(folder, "flat", digits, {"compress": [PRUNE]}, x=flat)
    wrong = {"compress": [{"step": "distill", "teacher": "other.keras"}]}
    said["wrong teacher"] = run(folder, "wrong teacher", digits, wrong)
    for path in sorted(RECIPES.glob("*.toml")):
        given = tomllib.loads(path.read_text())
        for step in given["compress"]:
            step.pop("epochs", None)
        given["training"] = given["training"] | SHORT
        said[path.stem] = run(folder, path.stem, digits, given)
    (folder / "cases.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
