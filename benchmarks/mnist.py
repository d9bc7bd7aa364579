"""What each way to compress costs and wins, on four small networks and the digits of MNIST.

    .venv/bin/python benchmarks/mnist.py [NAME…] [--write]

Trained on 8,000 of the 10,000 digits that are here, asked about the 2,000 others. Every cell is one
`littoral convert` with a recipe of converter/recipes/. Without a NAME it is the CNN alone; all four
(cnn lstm gru attention) take half an hour. --write puts the table into docs/conversion.md.
"""

import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
DIGITS = ROOT.parent / "shared/data/mnist"
RECIPES = ROOT / "converter/recipes"
PAGE = ROOT / "docs/conversion.md"
TABLE = re.compile(r"(<!-- measured: mnist -->\n).*?(<!-- end -->)", re.DOTALL)
LEARNED = 8000
NETWORKS = ("cnn", "lstm", "gru", "attention")
CELLS = {  # by column: the recipe, and whether the network is the one of half the width
    "INT8": (None, False),
    "QAT": ("qat", False),
    "pruned": ("prune", False),
    "clustered": ("cluster", False),
    "distilled": ("distill", True),
}
os.environ |= {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}

Cell = dict[str, Any]


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return pictures [10000, 28, 28] of 0 to 1, and what they show."""
    pictures, classes = sorted(DIGITS.glob("*.gz"))
    x = np.frombuffer(gzip.decompress(pictures.read_bytes())[16:], np.uint8)
    y = np.frombuffer(gzip.decompress(classes.read_bytes())[8:], np.uint8)
    order = np.random.default_rng(0).permutation(len(y))
    scaled = np.asarray(x.reshape(-1, 28, 28) / 255, np.float32)
    return scaled[order], y.astype(np.int64)[order]


def network(name: str, wide: int) -> Any:  # noqa: ANN401
    """Return an untrained network; ``wide`` is 1 for a pupil, and 2 for what is usual."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    last = layers.Dense(10, activation="softmax", name="digit")
    if name == "cnn":
        source = keras.Input((28, 28, 1), name="picture")
        x = layers.Conv2D(8 * wide, 3, activation="relu")(source)
        x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(16 * wide, 3, activation="relu")(x)
        x = layers.Flatten()(layers.MaxPooling2D()(x))
        return keras.Model(source, last(layers.Dense(32 * wide, activation="relu")(x)))
    source = keras.Input((28, 28), name="rows")
    if name == "attention":
        x = layers.Dense(16 * wide)(source)
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8 * wide)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(16 * wide, activation="gelu")(x))
        return keras.Model(source, last(layers.Flatten()(x)))
    kind = {"lstm": layers.LSTM, "gru": layers.GRU}[name]
    return keras.Model(source, last(kind(32 * wide)(source)))


def train(name: str, folder: Path) -> None:
    """Leave the trained network, an untrained one of half the width, and the samples."""
    x, y = digits()
    if name == "cnn":
        x = x[..., None]
    for part, rows in (("train", slice(LEARNED)), ("test", slice(LEARNED, None))):
        np.savez(folder / f"{part}.npz", x=x[rows], y=y[rows])
    model = network(name, 2)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:LEARNED], y[:LEARNED], epochs=12, batch_size=64, verbose=0)
    model.save(folder / "teacher.keras")
    network(name, 1).save(folder / "pupil.keras")


def convert(folder: Path, column: str) -> Cell:
    """Return what came of one conversion; where nothing did, why."""
    recipe, small = CELLS[column]
    command = ["convert", "pupil.keras" if small else "teacher.keras", "-o", column, "--json"]
    command += ["--calibration", "train.npz", "--evaluation", "test.npz", "--name", "digits"]
    if recipe is not None:
        # Paths in a recipe begin where it lies.
        (folder / f"{recipe}.toml").write_text((RECIPES / f"{recipe}.toml").read_text())
        command += ["--recipe", f"{recipe}.toml", "--training", "train.npz"]
    done = subprocess.run(
        [sys.executable, "-m", "littoral", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"why": done.stderr.strip().splitlines()[-1]}
    said = json.loads(done.stdout)
    report = json.loads((folder / column / "report.json").read_text())
    variant = next(v for v in said["variants"] if v["id"] == "cpu-int8")
    packed = len(_zstd(Path(folder / variant["path"]).read_bytes()))
    return {
        "float": 100 * said["float"]["accuracy"],
        "accuracy": 100 * variant["accuracy"],
        "integer": variant["fully_integer"],
        "bytes": variant["bytes"],
        "packed": packed,
        "steps": (report.get("compression") or {"found": {"steps": []}})["found"]["steps"],
        "seconds": sum(cost["seconds"] for cost in report["steps"].values()),
    }


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(data)


def table(found: dict[str, dict[str, Cell]]) -> str:
    """Return the table for people."""
    lines = [f"| accuracy, size packed | float | {' | '.join(CELLS)} |"]
    lines.append("|---|" + "---|" * (len(CELLS) + 1))
    notes: list[str] = []
    for name, cells in found.items():
        exact = next((c["float"] for c in cells.values() if "float" in c), None)
        row = [name, "-" if exact is None else f"{exact:.2f} %"]
        for column, cell in cells.items():
            if "why" in cell:
                notes.append(f"{len(notes) + 1}. {name}, {column}: {cell['why']}")
                row.append(f"no ({len(notes)})")
            else:
                whole = "" if cell["integer"] else ", some floats"
                row.append(f"{cell['accuracy']:.2f} %, {cell['packed'] / 1024:.1f} KiB{whole}")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", *notes, ""]) if notes else "\n".join([*lines, ""])


def rows(found: dict[str, dict[str, Cell]]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for name, cells in found.items():
        for column, cell in cells.items():
            what = f"{name}, {column}"
            if "why" in cell:
                told.append({"what": f"{what}: {cell['why']}", "value": 0, "unit": "not made"})
                continue
            told.append({"what": f"{what}, is right", "value": cell["accuracy"], "unit": "%"})
            told.append({"what": f"{what}, packed", "value": cell["packed"], "unit": "B"})
            if column == "INT8":
                drop = cell["float"] - cell["accuracy"]
                promised = {"most": 0.5} if name == "cnn" else {}
                told.append({"what": f"{what}, drop", "value": drop, "unit": "points"} | promised)
    return told


def main() -> None:
    wanted = [name for name in sys.argv[1:] if not name.startswith("-")] or ["cnn"]
    if not DIGITS.exists():
        print(json.dumps({"skipped": "the shared digits are not here"}))
        return
    if importlib.util.find_spec("tensorflow") is None:
        print(json.dumps({"skipped": "the extra converter is not installed"}))
        return
    found: dict[str, dict[str, Cell]] = {}
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="littoral-mnist-") as at:
            # In a process of its own: TensorFlow would stay, with its memory.
            own = [sys.executable, __file__, "--train", name, at]
            subprocess.run(own, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            found[name] = {}
            for column in CELLS:
                found[name][column] = convert(Path(at), column)
                print(f"{name}, {column}: {found[name][column]}", file=sys.stderr)
    if "--write" in sys.argv:
        text = PAGE.read_text()
        PAGE.write_text(TABLE.sub(lambda m: f"{m[1]}\n{table(found)}\n{m[2]}", text))
    print(json.dumps({"rows": rows(found)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
