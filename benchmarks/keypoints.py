"""How near MoveNet comes to its publisher's reference, and what the difference consists of.

    .venv/bin/python benchmarks/keypoints.py [--draws N]

A quantized model's answer is one of many: of a picture with one number in 150 a step of 1 off,
which is what two ways to compute one resizing differ by, it says something else. So each way is
asked N times with other such steps; the mean of the answers is what the way itself is good for,
their spread the model's own noise. Differences are of the 34 coordinates, as fractions of the
picture. docs/tasks.md says what follows.
"""

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from PIL import Image

from littoral.bundle.preprocessing import Preprocessing
from littoral.model import images
from littoral.model.place import Place
from littoral.model.tasks import keypoints

SHARED = Path(__file__).parents[2] / "shared"
MODEL = SHARED / "models/coral/movenet_single_pose_lightning_ptq.tflite"
PICTURE = SHARED / "data/images/squat.bmp"
REFERENCE = SHARED / "data/images/movenet_single_pose_lightning_ptq_reference.csv"
SIDE = (192, 192)
OUTPUT_STEP = 0.0040968540124595165  # the scale of MODEL's last tensor before it is made floats
STEPPED = 1 / 150
SURE = 0.4  # the publisher compares points whose scores are above this, in both
PUBLISHERS = 0.04  # and lets them differ by this

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Row = dict[str, Any]
WAYS = {
    "as it comes": Preprocessing(),
    "antialias = false": Preprocessing(antialias=False),  # the publisher's test, to 0.002
    "filter = lanczos": Preprocessing(filter="lanczos"),  # the publisher's example
    "filter = bicubic": Preprocessing(filter="bicubic"),
    "filter = area": Preprocessing(filter="area"),
    "filter = nearest": Preprocessing(filter="nearest"),
    "resize = pad": Preprocessing(resize="pad"),
    "resize = crop": Preprocessing(resize="crop"),
}
KERNELS = {
    "XNNPACK": OpResolverType.AUTO,
    "built-in": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}


def answering(kernels: str) -> Callable[[Pixels, Place], Floats]:
    """Return what answers pixels with [17, 3]: x, y, score of the upright picture."""
    interpreter = Interpreter(
        str(MODEL), num_threads=1, experimental_op_resolver_type=KERNELS[kernels]
    )
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(pixels: Pixels, place: Place) -> Floats:
        interpreter.set_tensor(into["index"], pixels[None])
        interpreter.invoke()
        found = keypoints.read([interpreter.get_tensor(out["index"])[0]], place=place, least=0)
        return np.array([[p.x, p.y, p.score] for p in found.poses[0].points])

    return answer


def entered(picture: Image.Image, wanted: Preprocessing) -> tuple[Pixels, Place]:
    real = images.prepare(picture, wanted, size=SIDE, depth=3)
    return real.astype(np.uint8), images.place(picture.size, wanted, SIDE[::-1])


def drawn(
    answer: Callable[[Pixels, Place], Floats], pixels: Pixels, place: Place, n: int
) -> Floats:
    """Return [n, 17, 2]: what is said of ``pixels``, each time with other steps of 1."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(n):
        steps = random.choice([-1, 1], pixels.shape) * (random.random(pixels.shape) < STEPPED)
        found.append(answer(np.clip(pixels + steps, 0, 255).astype(np.uint8), place)[:, :2])
    return np.array(found)


def apart(one: Floats, other: Floats) -> Floats:
    return np.abs(one - other).reshape(-1)


def decoded(picture: Image.Image, enough: int | None) -> Image.Image:
    """Return ``picture`` five times as large, as a JPEG that was decoded again."""
    buffer = io.BytesIO()
    picture.resize((picture.width * 5, picture.height * 5)).save(buffer, "JPEG", quality=92)
    return images.decode(buffer.getvalue(), enough=enough)


def of_one(answer: Floats, reference: Floats) -> list[Row]:
    """Return how far one answer, the one that a user gets, is off."""
    off = np.abs(answer[:, :2] - reference[:, 1:])
    sure = (answer[:, 2] > SURE) & (reference[:, 0] > SURE)
    steps = reference / OUTPUT_STEP
    return [
        row("one answer: mean", off.mean()),
        row("one answer: most", off.max()),
        row("one answer: within 0.02, of 34", (off <= 0.02).sum(), unit=""),
        row("one answer: most, of points that are sure", off[sure].max(), most=PUBLISHERS),
        row("one answer: points that are sure, of 17", sure.sum(), unit="", least=8),
        row("one answer: scores, most", np.abs(answer[:, 2] - reference[:, 0]).max()),
        row("reference: beside the model's steps, most", np.abs(steps - steps.round()).max()),
        row("one answer: beside the model's steps, most", _beside(answer)),
    ]


def _beside(answer: Floats) -> float:
    steps = answer / OUTPUT_STEP
    return float(np.abs(steps - steps.round()).max())


def of_noise(draws: Floats) -> list[Row]:
    """Return how far two answers to nearly one picture are apart."""
    half = len(draws) // 2
    pairs = np.abs(draws[:half] - draws[half : 2 * half]).reshape(half, -1).max(axis=1)
    return [
        row("two answers: most, half of pairs within", np.median(pairs)),
        row("two answers: most, 95 % of pairs within", np.quantile(pairs, 0.95)),
        row("two answers: pairs all within 0.02", 100 * (pairs <= 0.02).mean(), unit="%"),
    ]


def row(what: str, value: Any, *, unit: str = "", **promise: float) -> Row:  # noqa: ANN401
    return {"what": what, "value": round(float(value), 4), "unit": unit, **promise}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100)
    n = parser.parse_args().draws
    if not MODEL.exists():
        print(json.dumps({"skipped": "shared models are not here"}))
        return
    reference = np.genfromtxt(REFERENCE, delimiter=",", skip_header=1)[:, 3:]
    picture, answer = images.decode(PICTURE.read_bytes()), answering("XNNPACK")
    inputs = {way: entered(picture, wanted) for way, wanted in WAYS.items()}
    draws = {way: drawn(answer, *pixels, n) for way, pixels in inputs.items()}
    rows = of_one(answer(*inputs["as it comes"]), reference) + of_noise(draws["as it comes"])
    for way, found in draws.items():
        off = apart(found.mean(axis=0), reference[:, 1:])
        rows += [row(f"{way}: mean answer, most", off.max())]
        rows += [row(f"{way}: mean answer, mean", off.mean())]
    plain = inputs["antialias = false"]
    for kernels in ("built-in", "reference"):
        other = answering(kernels)
        said = apart(other(*plain)[:, :2], answer(*plain)[:, :2])
        rows += [row(f"{kernels} kernels to XNNPACK: one answer, most", said.max())]
    other = drawn(answering("built-in"), *plain, n).mean(axis=0)
    off = apart(other, draws["antialias = false"].mean(axis=0))
    rows += [row("built-in kernels to XNNPACK: mean answer, most", off.max())]
    whole, small = (
        drawn(answer, *entered(decoded(picture, enough), WAYS["as it comes"]), n).mean(axis=0)
        for enough in (None, 2 * max(SIDE))
    )
    rows += [row("JPEG in part to the whole: mean answer, most", apart(whole, small).max())]
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
