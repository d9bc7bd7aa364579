"""Reference models of MLPerf Tiny, converted by the command, beside those that others quantized.

    .venv/bin/python benchmarks/references.py [SEED]

Keyword spotting from its float .tflite, calibrated on 100 samples and judged by the 400 others;
ResNet-8 from its Keras 2 HDF5, calibrated on 500 crops of photographs and judged by 1,500 others
(tests/converter/crops.py; SEED chooses them), once as it comes, once with a guard that asks for
99 % of the float model's answers: what it gives back floats for, and what that costs.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from littoral_converter.ptq import observe

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
TINY_ML = SHARED / "models/mlperf_tiny"
Row = dict[str, Any]


def convert(model: str, folder: Path, recipe: str) -> tuple[Row, Row, float]:
    """Return what the command says of the variant, its report, and how long it took."""
    (folder / "recipe.toml").write_text(recipe)
    data = {what: next(folder.glob(f"{what}.np?")) for what in ("calibration", "evaluation")}
    command = [sys.executable, "-m", "littoral", "convert", str(TINY_ML / model)]
    command += ["-o", str(folder / "out"), "--json", "--force", "--no-cache"]
    command += ["--recipe", str(folder / "recipe.toml")]
    for what, path in data.items():
        command += [f"--{what}", str(path)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    took = time.monotonic() - start
    report = json.loads((folder / "out/report.json").read_bytes())
    return json.loads(done.stdout)["variants"][0], report, took


def keywords(folder: Path) -> list[Row]:
    data = np.load(SHARED / "data/kws01/kws01_dev.npz")
    order = np.random.default_rng(0).permutation(len(data["x"]))
    x, y = data["x"][order], data["y"][order]
    np.savez(folder / "calibration.npz", x=x[:100], y=y[:100])
    np.savez(folder / "evaluation.npz", x=x[100:], y=y[100:])
    known = (TINY_ML / "kws_ref_model_int8.tflite").read_bytes()
    theirs = 100 * float((observe.answers(known, x[100:]).argmax(axis=1) == y[100:]).mean())
    variant, _, took = convert("kws_ref_model_float32.tflite", folder, "")
    return [
        {"what": "keywords: the reference is right", "value": theirs, "unit": "%"},
        {
            "what": "keywords: INT8 is right",
            "value": 100 * variant["accuracy"],
            "unit": "%",
            "least": theirs,
        },
        {
            "what": "keywords: INT8 agrees with float",
            "value": 100 * variant["agreement"],
            "unit": "%",
            "least": 98.4,
        },
        {"what": "keywords: the command takes", "value": took, "unit": "s"},
    ]


def resnet(folder: Path, seed: int) -> list[Row]:
    sys.path.insert(0, str(ROOT / "tests"))
    from converter.crops import CALIBRATION, crops

    for name, values in zip(("calibration", "evaluation"), crops(seed), strict=True):
        np.save(folder / f"{name}.npy", values)
    size = (TINY_ML / "resnet8_int8.tflite").stat().st_size
    recipe = f"[calibration]\nsamples = {CALIBRATION}\n"
    plain, _, took = convert("resnet8.h5", folder, recipe)
    mixed, report, longer = convert("resnet8.h5", folder, recipe + "[guard]\nmin_agreement = 0.99")
    curve = report["quantized"]["mixed"]
    first, last = curve[0], curve[-1]
    given = sum(len(point["given"]) for point in curve)
    return [
        {"what": "ResNet-8: agrees", "value": 100 * plain["agreement"], "unit": "%", "least": 95},
        {
            "what": "ResNet-8: size of the reference",
            "value": plain["bytes"] / size,
            "unit": "x",
            "most": 1.05,
        },
        {
            "what": "ResNet-8: fully integer",
            "value": int(plain["fully_integer"]),
            "unit": "",
            "least": 1,
        },
        {"what": "ResNet-8: the command takes", "value": took, "unit": "s"},
        {
            "what": "ResNet-8, mixed: agrees",
            "value": 100 * mixed["agreement"],
            "unit": "%",
            "least": 99,
        },
        {"what": "ResNet-8, mixed: steps taken", "value": given, "unit": ""},
        {
            "what": "ResNet-8, mixed: size of INT8",
            "value": last["bytes"] / first["bytes"],
            "unit": "x",
        },
        {
            "what": "ResNet-8, mixed: time of INT8 here",
            "value": last["cpu_us"] / first["cpu_us"],
            "unit": "x",
        },
        {"what": "ResNet-8, mixed: the command takes", "value": longer, "unit": "s"},
    ]


def main() -> None:
    if not TINY_ML.exists():
        print(json.dumps({"skipped": "shared models are not here"}))
        return
    if importlib.util.find_spec("ai_edge_quantizer") is None:
        print(json.dumps({"skipped": "ai-edge-quantizer is not installed"}))
        return
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        print(json.dumps({"rows": [*keywords(Path(one)), *resnet(Path(other), seed)]}))


if __name__ == "__main__":
    main()
