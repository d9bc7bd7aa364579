"""What post-training quantization loses, and what it costs to lose less.

    .venv/bin/python benchmarks/quantizing.py [SEED]

ResNet-8 of MLPerf Tiny, calibrated on 500 and asked about 1,500 other crops of photographs
(tests/converter/crops.py; SEED chooses them), and its keyword spotter, calibrated on 100 of the
500 samples and asked about the 400 others. Beside them the reference INT8 models, and plain
rounding. Mixed precision goes on until 99 % of the answers are the float model's: operators are
chosen on calibration samples, only where to stop is read from the evaluation.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq import observe
from littoral_converter.ptq.judge import Judge, compare
from littoral_converter.ptq.mixed import Mixer, Point
from littoral_converter.ptq.quantize import Quantized, quantize

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
TINY_ML = SHARED / "models/mlperf_tiny"
ENOUGH = 0.99

Floats = NDArray[np.float32]
Row = dict[str, Any]


def percent(wanted: Floats, model: bytes, samples: Floats) -> float:
    agreement = compare(wanted, observe.answers(model, samples)).agreement
    assert agreement is not None
    return 100 * agreement


def stages(name: str, done: Quantized) -> list[Row]:
    """What each step was worth, on the samples that it did not see, and took."""
    rows: list[Row] = []
    for step in done.steps:
        what = f"{name}: {step.step}{'' if step.kept else ' (undone)'}"
        rows += [
            {"what": f"{what}, signal to noise", "value": step.verdict.snr_db, "unit": "dB"},
            {"what": f"{what}, processor time", "value": step.cpu_s, "unit": "s"},
        ]
    return rows


def enough(mixer: Mixer, judge: Judge) -> Point | None:
    for point in mixer.curve():
        agreement = judge.ask(point.model).agreement
        if agreement is not None and agreement >= ENOUGH:
            return point
    return None


def resnet(seed: int) -> list[Row]:
    sys.path.insert(0, str(ROOT / "tests"))
    from converter.crops import crops

    calibration, evaluation = crops(seed)
    exact = (TINY_ML / "resnet8_float32.tflite").read_bytes()
    known = (TINY_ML / "resnet8_int8.tflite").read_bytes()
    done = quantize(exact, calibration)
    wanted = observe.answers(exact, evaluation)
    plain = quantize(exact, calibration, steps=()).model
    rows: list[Row] = [
        {"what": "ResNet-8: the reference agrees", "value": percent(wanted, known, evaluation)},
        {"what": "ResNet-8: plain rounding agrees", "value": percent(wanted, plain, evaluation)},
        {
            "what": "ResNet-8: agrees",
            "value": percent(wanted, done.model, evaluation),
            "least": 95,
        },
    ]
    rows = [row | {"unit": "%"} for row in rows]
    size = len(done.model) / len(known)
    rows.append(
        {"what": "ResNet-8: size of the reference", "value": size, "unit": "x", "most": 1.05}
    )
    rows += stages("ResNet-8", done)
    found = enough(done.mixer, Judge(samples=evaluation, reference=wanted))
    if found is None:
        return rows
    before, after = (observe.cpu_us(m, evaluation[:100]) for m in (done.model, found.model))
    mixed = "ResNet-8, mixed:"
    agrees = percent(wanted, found.model, evaluation)
    return [
        *rows,
        {"what": f"{mixed} agrees", "value": agrees, "unit": "%", "least": 99},
        {"what": f"{mixed} size of INT8", "value": len(found.model) / len(done.model), "unit": "x"},
        {"what": f"{mixed} size of float", "value": len(found.model) / len(exact), "unit": "x"},
        {"what": f"{mixed} time of INT8 here", "value": after / before, "unit": "x"},
        {
            "what": f"{mixed} operators not INT8",
            "value": len(found.plan.other),
            "unit": "",
        },
    ]


def keywords() -> list[Row]:
    data = np.load(SHARED / "data/kws01/kws01_dev.npz")
    order = np.random.default_rng(0).permutation(len(data["x"]))
    x, y = data["x"][order], data["y"][order]
    exact = (TINY_ML / "kws_ref_model_float32.tflite").read_bytes()
    known = (TINY_ML / "kws_ref_model_int8.tflite").read_bytes()
    done = quantize(exact, x[:100])
    models = {"float": exact, "the reference": known, "INT8": done.model}
    answers = {name: observe.answers(model, x[100:]) for name, model in models.items()}
    right = {n: 100 * float((a.argmax(axis=1) == y[100:]).mean()) for n, a in answers.items()}
    agrees = percent(answers["float"], done.model, x[100:])
    least = {"INT8": {"least": right["the reference"]}}
    size = len(done.model) / len(known)
    return [
        *(
            {"what": f"keywords: {n} is right", "value": v, "unit": "%"} | least.get(n, {})
            for n, v in right.items()
        ),
        {"what": "keywords: agrees", "value": agrees, "unit": "%", "least": 98.4},
        {
            "what": "keywords: size of the reference",
            "value": size,
            "unit": "x",
        },
        *stages("keywords", done),
    ]


def main() -> None:
    if not TINY_ML.exists():
        print(json.dumps({"skipped": "shared models are not here"}))
    elif importlib.util.find_spec("ai_edge_quantizer") is None:
        print(json.dumps({"skipped": "ai-edge-quantizer is not installed"}))
    else:
        seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
        print(json.dumps({"rows": [*resnet(seed), *keywords()]}))


if __name__ == "__main__":
    main()
