"""Train, convert: from real scans to signed-ready bundles."""

import json
import sys
from pathlib import Path
from typing import Any

from stage import expect
from world import HERE, MODEL, World

# The careless one answers as well, and takes a hundred times as long.
PLANS = (
    "digits-1:seed=1:epochs=12",
    "digits-2:seed=2:width=12:epochs=25",
    "digits-3:seed=3:epochs=8",
    "careless:seed=4:width=32:dense=2560:epochs=1",
)
RECIPE = """\
model = "digits"
task = "classification"

[selftest]
margin = 4
floor_us = 100
"""


def train(world: World) -> dict[str, Any]:
    """Four small CNNs, in a process of their own."""
    told = json.loads(world.stage.run(sys.executable, HERE / "train.py", world.models, *PLANS))
    accuracy = {name: row["accuracy"] for name, row in told["models"].items()}
    expect(accuracy["digits-1"] > 0.9, "more than 0.9 of the test set right", accuracy)
    expect(accuracy["digits-2"] > 0.9, "more than 0.9 of the test set right", accuracy)
    return {
        "training_samples": told["training_samples"],
        "test_samples": told["test_samples"],
        "float_accuracy": {name: round(value, 4) for name, value in accuracy.items()},
    }


def convert(world: World) -> dict[str, Any]:
    """Releases 1 and 2, fully INT8, evaluated and with their golden vectors."""
    figures = {}
    for release in (1, 2):
        told = convert_one(world, f"digits-{release}", release=release)
        variant = told["variants"][0]
        expect(variant["fully_integer"], "a fully integer model", variant)
        accuracy, float_accuracy = variant["accuracy"], told["float"]["accuracy"]
        expect(accuracy > float_accuracy - 0.02, f"accuracy near {float_accuracy}", accuracy)
        world.accuracy[release] = accuracy
        figures[f"release_{release}"] = {
            "float_accuracy": round(float_accuracy, 4),
            "int8_accuracy": round(accuracy, 4),
            "agreement": round(variant["agreement"], 4),
            "bytes": variant["bytes"],
        }
        _check_bundle(world.bundle(f"digits-{release}"))
    return figures


def convert_one(world: World, name: str, *, release: int, recipe: str = RECIPE) -> dict[str, Any]:
    """Run ``littoral convert`` on one trained model, into the bundle of the same name."""
    path = world.work / f"recipe-{name}.toml"
    path.write_text(recipe)
    told = world.stage.littoral(
        *("convert", world.models / f"{name}.keras", "-o", world.bundle(name)),
        *("--recipe", path, "--name", MODEL, "--release", str(release), "--label", name),
        *("--calibration", world.models / "calibration.npz"),
        *("--evaluation", world.models / "test.npz"),
    )
    return dict(told)


def manifest(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / "manifest.json").read_bytes()))


def _check_bundle(bundle: Path) -> None:
    found = manifest(bundle)
    for name, file in found["files"].items():
        size = (bundle / name).stat().st_size
        expect(size == file["size"], f"{name} of {file['size']} bytes", size)
    for role in ("labels", "baseline", "report"):
        expect(role in found, f"a {role} in the bundle", sorted(found))
    expect(found["selftest"]["count"] > 0, "golden vectors", found["selftest"])
    report = (bundle / found["report"]).read_text()
    expect("<svg" in report or "data:image" in report, "pictures in the report", report[:80])
