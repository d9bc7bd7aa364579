"""Builds the INT8 model and finds out how good it is: source and samples in, figures out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Task, Tensor
from littoral.errors import ConversionError, MalformedError, MisuseError
from littoral.model import tensors
from littoral_converter import build, calibration, check, evaluate, golden, litert
from littoral_converter.build import Built
from littoral_converter.check import Graph
from littoral_converter.compressing import Compression
from littoral_converter.data import Data
from littoral_converter.evaluate import Likeness, Regression, Score
from littoral_converter.evidence import detection
from littoral_converter.evidence.detection import Detected
from littoral_converter.golden import Golden
from littoral_converter.importers import program
from littoral_converter.litert import Ran
from littoral_converter.quantizing import INT8
from littoral_converter.recipe import Recipe
from littoral_converter.source import Source
from littoral_converter.workshop import Workshop

_RANK: Final = 2  # [1, classes]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """All that is known of the new model before it becomes a release."""

    source: Source
    compression: Compression | None = None  # how it was trained before
    learned: Data  # what calibration samples were taken from
    calibrated: int  # how many were taken
    judged: Data | None  # the evaluation set
    samples: NDArray[np.float32]  # what both models were asked: judged's, else calibration's
    task: Task
    labels: tuple[str, ...] | None  # as people gave them
    int8: bytes
    float_bytes: int
    built: Built
    graph: Graph
    ran: Ran  # the INT8 model
    ran_float: Ran
    answers: NDArray[Any]  # of INT8, as stored
    likeness: Likeness
    score: Score | None
    regression: Regression | None = None
    detected: Detected | None = None
    doubts: tuple[str, ...] = ()  # whether the float model was asked as it was trained

    @property
    def input(self) -> Tensor:
        return self.ran.inputs[0]

    @property
    def output(self) -> Tensor:
        return self.ran.outputs[0]

    @property
    def variant(self) -> str:
        """Return what the model that runs on processors is called in the bundle."""
        return f"cpu-{self.built.quantized.kind}"

    @property
    def file(self) -> str:
        return f"model-{self.built.quantized.kind}.tflite"

    @property
    def ranked(self) -> bool:
        """Whether the largest output means something."""
        return self.task == "classification"

    def golden(self, count: int | None) -> Golden:
        """Return the golden vectors, ``count`` at most: the same every time."""
        return golden.make(
            self.samples, self.answers, spec=self.input, count=count, ranked=self.ranked
        )


def measure(
    shop: Workshop,
    source: Source,
    learned: Data,
    judged: Data | None,
    *,
    recipe: Recipe,
    labels: tuple[str, ...] | None,
    targets: tuple[str, ...] = ("cpu",),
) -> Measured:
    """Build the model and ask it, and the float one, about the samples.

    Raises:
        ConversionError: It cannot be built, or not fully in integers.
        MisuseError: Samples, classes or labels do not fit the model.
        BackendError: LiteRT refuses what was built.

    """
    chosen = calibration.choose(learned, recipe.calibration)
    samples = chosen if judged is None else judged.x
    at = shop.keep("samples.npy", samples)
    truth = None if judged is None or judged.y is None else shop.keep("truth.npy", judged.y)
    built = build.build(shop, source, chosen, at, recipe=recipe, targets=targets, truth=truth)
    if built.program.axes:
        samples = program.arranged(samples, built.program)
        at = shop.keep("samples.npy", samples)
    int8 = (shop.folder / INT8).read_bytes()
    graph = check.read(int8)
    check.require_integer(graph, allow_float=_floats(recipe, built))
    ran = _run(shop, INT8, at, what="INT8")
    ran_float = _run(shop, program.FLOAT, at, what="float")
    answers = np.load(shop.folder / f"{INT8}.npy")
    reference = np.load(shop.folder / program.ANSWERS)
    task = _task(ran.outputs[0], recipe.task, judged)
    labels = _labels(labels, ran.outputs[0], task)
    real = tensors.dequantize(answers, ran.outputs[0])
    if not np.isfinite(reference).all():
        raise ConversionError("the float model answers NaN or infinity to some samples")
    as_float = np.load(shop.folder / f"{program.FLOAT}.npy")
    program.check_faithful(reference, tensors.dequantize(as_float, ran_float.outputs[0]))
    return Measured(
        source=source,
        learned=learned,
        calibrated=len(chosen),
        judged=judged,
        samples=samples,
        task=task,
        labels=labels,
        int8=int8,
        float_bytes=(shop.folder / program.FLOAT).stat().st_size,
        built=built,
        graph=graph,
        ran=ran,
        ran_float=ran_float,
        answers=answers,
        likeness=evaluate.likeness(reference, real, ranked=task == "classification"),
        score=_score(judged, reference, real, task, labels),
        regression=_regression(judged, reference, real, task),
        detected=_detected(judged, reference, real, task, labels=labels, source=ran.inputs[0]),
        doubts=_doubts(reference, judged, task),
    )


def _floats(recipe: Recipe, built: Built) -> bool:
    """Whether floats in the model are what was asked for."""
    wanted = recipe.quantize
    return wanted.allow_float or bool(wanted.keep_float) or built.quantized.floats


def _run(shop: Workshop, model: str, samples: Path, *, what: str) -> Ran:
    """Leave the answers of ``model`` to all samples beside it."""
    job = litert.Run(
        model=shop.folder / model,
        samples=samples,
        answers=shop.folder / f"{model}.npy",
        stage=f"running {what}",
    )
    return shop.do("run", job, Ran, name=f"run {what}")


def _task(output: Tensor, wanted: Task | None, judged: Data | None) -> Task:
    classes = len(output.shape) == _RANK and output.shape[1] > 1
    if wanted is None and judged is not None and judged.targets is not None:
        return "raw"  # who knows true numbers does not ask for classes
    if wanted == "classification" and not classes:
        raise MisuseError(
            f"the recipe says classification; the output is {list(output.shape)}, and "
            "[1, classes] was expected"
        )
    return wanted or ("classification" if classes else "raw")


def _labels(labels: tuple[str, ...] | None, output: Tensor, task: Task) -> tuple[str, ...] | None:
    if labels is not None and task == "classification" and len(labels) != output.shape[1]:
        raise MisuseError(
            f"the model knows {output.shape[1]} classes; found the names of {len(labels)}: give "
            "--labels with all of them, one a line, in the model's order"
        )
    return labels


def _doubts(reference: NDArray[np.float32], judged: Data | None, task: Task) -> tuple[str, ...]:
    if task != "classification":
        return ()
    return tuple(calibration.doubts(reference, None if judged is None else judged.y))


def _detected(
    judged: Data | None,
    reference: NDArray[np.float32],
    real: NDArray[np.float32],
    task: Task,
    *,
    labels: tuple[str, ...] | None,
    source: Tensor,
) -> Detected | None:
    if judged is None or judged.targets is None or task != "detection":
        return None
    try:
        return detection.judge(
            reference, real, judged.targets, classes=len(labels or ()), shape=source.shape
        )
    except ValueError as e:
        raise MalformedError(f"{judged.name}: {e}") from e


def _regression(
    judged: Data | None, reference: NDArray[np.float32], real: NDArray[np.float32], task: Task
) -> Regression | None:
    if judged is None or judged.targets is None or task != "raw":
        return None
    try:
        return evaluate.regression(reference, real, judged.targets)
    except ValueError as e:
        raise MalformedError(f"{judged.name}: {e}") from e


def _score(
    judged: Data | None,
    reference: NDArray[np.float32],
    real: NDArray[np.float32],
    task: Task,
    labels: tuple[str, ...] | None,
) -> Score | None:
    if judged is None or judged.y is None or task != "classification":
        return None
    names = labels or tuple(str(k) for k in range(real.shape[1]))
    try:
        return evaluate.score(reference, real, judged.y, labels=names)
    except ValueError as e:
        raise MalformedError(f"{judged.name}: {e}") from e
