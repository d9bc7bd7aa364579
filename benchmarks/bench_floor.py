"""``littoral bench`` against LiteRT called from C: what our way to measure adds to an inference.

Both are processes of their own with one model and one thread, asked in turns: a block of C's, a
block of ours. A ratio is one turn's, and told is the median of all turns; the C side copies every
input in and every output out, as ours does.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from floor.litert import Floor, NoFloorError, floor
from littoral_serve.bench.orders import Order
from littoral_serve.bench.process import Process, Subject, started

SHARED = Path(__file__).parents[2] / "shared/models"
MODELS = {
    "kws": "mlperf_tiny/kws_ref_model_int8.tflite",
    "resnet8": "mlperf_tiny/resnet8_int8.tflite",
    "mobilenet 0.25": "coral/mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet v2": "coral/tf2_mobilenet_v2_1.0_224_ptq.tflite",
    "movenet": "coral/movenet_single_pose_lightning_ptq.tflite",
}
PROMISED, FROM_US = 1.05, 20.0


def turn(ours: Process, theirs: Floor, *, seconds: float, swapped: bool) -> dict[str, float]:
    """Return one turn's figures in µs: C's and ours, for about ``seconds`` each."""

    def ask_ours() -> tuple[float, float, int]:
        times = ours.measure(Order(do="closed", seconds=seconds))
        return times.latency.min() / 1e3, float(np.median(times.latency)) / 1e3, len(times.latency)

    if swapped:
        least, median, count = ask_ours()
        found = theirs.measure("all", count)
    else:
        found = theirs.measure("all", 20)
        found = theirs.measure("all", max(20, round(seconds * 1e6 / found.median)))
        least, median, _ = ask_ours()
    return {
        "least": least / found.least,
        "median": median / found.median,
        "c": found.least,
        "ours": least,
    }


def rows(name: str, path: Path, *, rounds: int, seconds: float) -> list[dict[str, Any]]:
    subject = Subject(name=name, backend="litert", model=path.read_bytes())
    with floor(path) as theirs, started(subject, threads=1) as ours:
        ours.ask(Order(do="load"))
        ours.ask(Order(do="warm", seconds=2.0))
        theirs.measure("all", 100)
        turns = [turn(ours, theirs, seconds=seconds, swapped=bool(k % 2)) for k in range(rounds)]

    def middle(what: str) -> float:
        return statistics.median(one[what] for one in turns)

    promise = {"most": PROMISED} if middle("c") >= FROM_US else {}
    return [
        {"what": f"{name}: from C, least", "value": middle("c"), "unit": "µs"},
        {"what": f"{name}: by bench, least", "value": middle("ours"), "unit": "µs"},
        {"what": f"{name}: least, over C", "value": middle("least"), "unit": "", **promise},
        {"what": f"{name}: median, over C", "value": middle("median"), "unit": "", **promise},
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.25)
    asked = parser.parse_args()
    if not SHARED.is_dir():
        print(json.dumps({"skipped": "shared models are not here"}))
        return
    try:
        told = [
            row
            for name, path in MODELS.items()
            for row in rows(name, SHARED / path, rounds=asked.rounds, seconds=asked.seconds)
        ]
    except NoFloorError as e:
        print(json.dumps({"skipped": str(e)}))
        return
    print(json.dumps({"rows": told}))


if __name__ == "__main__":
    main()
