"""What a conversion builds beside the CPU's model, of what it has measured: one match of targets.

For devices: variants, which the manifest will name. For everybody else: exports.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Hardware, Requires, Tensor, Variant
from littoral.errors import ConversionError
from littoral.model import selftest, tensors
from littoral_converter import budget, evaluate, litert, reporting
from littoral_converter.evaluate import Likeness
from littoral_converter.importers import program
from littoral_converter.litert import Ran
from littoral_converter.measure import Measured
from littoral_converter.quantizing import INT8
from littoral_converter.recipe import Recipe
from littoral_converter.report import Compiled
from littoral_converter.reporting import Name
from littoral_converter.source import Kind
from littoral_converter.targets import browser, jetson, mobile, serving
from littoral_converter.targets.exports import Export
from littoral_converter.workshop import Workshop

# ONNX Runtime that knows an opset, by its own table of versions.
_RUNTIMES: Final = {13: "1.6", 14: "1.8", 15: "1.10", 16: "1.11", 17: "1.12", 18: "1.14"}
_APART: Final = 1e-3  # of the largest answer: where arithmetic is the same, order alone differs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """A variant in ONNX: what the report says of it, and its answers to the golden inputs."""

    about: Compiled
    model: bytes
    answers: NDArray[np.float32]
    hardware: tuple[Hardware, ...]
    runtime: str

    @property
    def golden(self) -> str:
        """Return the name of its golden outputs."""
        return f"golden-outputs-{self.about.id}.bin"

    def variant(self, wanted: Recipe) -> Variant:
        return Variant(
            id=self.about.id,
            engine="onnx",
            files=(self.about.file,),
            golden=self.golden,
            requires=Requires(
                hardware=self.hardware,
                runtime=self.runtime,
                memory_bytes=wanted.requires.memory_bytes,
            ),
        )

    def outputs(self, spec: Tensor) -> bytes:
        """Return its golden outputs, stored as the manifest's output ``spec``."""
        return selftest.pack([(tensors.quantize(one[None], spec),) for one in self.answers])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    variants: tuple[Ready, ...] = ()
    exports: tuple[tuple[Path, Export], ...] = ()  # the folder that each was made in
    software: dict[str, str] = field(default_factory=dict)


def check(targets: tuple[str, ...], wanted: Recipe, shape: tuple[int, ...]) -> None:
    """Do nothing if samples of ``shape`` leave hope for all ``targets``; asked before any work.

    Raises:
        ConversionError: One of them needs to be told more.

    """
    if "mobile" in targets:
        mobile.check(shape, wanted.input.preprocessing, task=wanted.task)


def build(
    shop: Workshop, found: Measured, name: Name, *, wanted: Recipe, targets: tuple[str, ...]
) -> Outputs:
    """Build what ``targets`` name.

    Raises:
        ConversionError: One of them cannot be built of this model; says what to do.

    """
    variants: tuple[Ready, ...] = ()
    exports: list[tuple[Path, Export]] = []
    software: dict[str, str] = {}
    for target in dict.fromkeys(targets):
        match target:
            case "jetson":
                variants, used = _jetson(shop, found, wanted)
                software |= used
            case "serving":
                exports.append(_serving(shop, found, name, wanted, software))
            case "browser":
                exports.append(_browser(shop, found, name, wanted, software))
            case "mobile":
                exports.append(_mobile(shop, found, name, wanted))
            case _:  # the CPU's model is there, an Edge TPU's is edgetpu.target's
                pass
    return Outputs(variants=variants, exports=tuple(exports), software=software)


def _jetson(
    shop: Workshop, found: Measured, wanted: Recipe
) -> tuple[tuple[Ready, ...], dict[str, str]]:
    if found.built.program.integer:
        raise ConversionError(
            "target jetson: this model is quantized already, with zero points that TensorRT does "
            "not take; give the float model that it was made of"
        )
    job = jetson.Job(
        model=shop.folder / program.FLOAT,
        folder=_folder(shop, "jetson"),
        calibration=shop.folder / "calibration.npy",
        samples=shop.folder / "samples.npy",
        golden=shop.keep("golden.npy", _golden(found, wanted)),
        input_name=found.input.name,
        output_name=found.output.name,
        opset=wanted.jetson.opset,
        ranges=wanted.jetson.ranges,
    )
    made = shop.do("target-jetson", job, jetson.Made, name="build for Jetson")
    _likeness(shop, found, f"jetson/{Path(jetson.FLOAT).stem}.npy", "jetson")
    least = next(v for opset, v in reversed(_RUNTIMES.items()) if opset <= job.opset)
    sides: tuple[tuple[str, str, jetson.Side, tuple[Hardware, ...]], ...] = (
        ("tensorrt-int8", jetson.INT8, made.after, ("tensorrt",)),
        ("cuda-float32", jetson.FLOAT, made.before, ("cuda", "tensorrt")),
    )
    return tuple(
        _ready(found, job.folder / file, side, name=name, hardware=hardware, runtime=least)
        for name, file, side, hardware in sides
    ), made.software


def _golden(found: Measured, wanted: Recipe) -> NDArray[np.float32]:
    """Return the golden inputs as a device feeds them to what takes real numbers."""
    vectors = found.golden(wanted.selftest.count)
    stored = selftest.unpack(vectors.inputs, (found.input,), count=vectors.count)
    return np.concatenate([tensors.dequantize(one, found.input) for (one,) in stored])


def _ready(
    found: Measured,
    path: Path,
    side: jetson.Side,
    *,
    name: str,
    hardware: tuple[Hardware, ...],
    runtime: str,
) -> Ready:
    data, answers = path.read_bytes(), np.load(path.with_suffix(".npy"))
    reference = _reference(path.parent.parent)
    score, regression, judged = None, None, found.judged
    if found.score is not None and judged is not None and judged.y is not None:
        labels = tuple(each.label for each in found.score.classes)
        score = evaluate.score(reference, answers, judged.y, labels=labels)
    if found.regression is not None and judged is not None and judged.targets is not None:
        regression = evaluate.regression(reference, answers, judged.targets)
    about = Compiled(
        id=name,
        file=path.name,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        fully_integer=not any(operator.floats for operator in side.operators),
        operators=side.operators,
        constant_bytes=side.constant_bytes,
        likeness=evaluate.likeness(reference, answers, ranked=found.ranked),
        latency=budget.latency(side.cpu_us, side.wall_us),
        score=score,
        regression=regression,
    )
    return Ready(
        about=about,
        model=data,
        answers=np.load(path.with_suffix(".golden.npy")),
        hardware=hardware,
        runtime=f"onnxruntime>={runtime}",
    )


def _serving(
    shop: Workshop, found: Measured, name: Name, wanted: Recipe, software: dict[str, str]
) -> tuple[Path, Export]:
    _need_saved(found, "serving")
    folder = _folder(shop, "exports") / "serving"
    # What was trained since it was given is in the program alone.
    given = found.source.kind == Kind.KERAS3 and found.compression is None
    keras = found.source.path.resolve() if given else None
    job = serving.Job(
        saved=shop.folder / program.SAVED,
        keras=keras,
        folder=shop.folder,
        out=folder / name.model / str(name.release),
        samples=shop.folder / "samples.npy",
        model=name.model,
        input_name=found.input.name,
        output_name=found.output.name,
        requests=wanted.serving.warm_up,
    )
    made = shop.do("target-serving", job, serving.Made, name="build for TensorFlow Serving")
    software |= made.software
    notes = [f"{made.requests} requests warm it up"]
    if not made.batched:
        notes.append("what it was made of has a batch of 1: a batch is answered one by one")
    return folder, Export(
        target="serving",
        use=(
            "in the bundle's folder: docker run -p 8501:8501 -v $PWD/serving:/models "
            f"-e MODEL_NAME={name.model} tensorflow/serving"
        ),
        likeness=_likeness(shop, found, serving.ANSWERS, "serving"),
        notes=tuple(notes),
    )


def _browser(
    shop: Workshop, found: Measured, name: Name, wanted: Recipe, software: dict[str, str]
) -> tuple[Path, Export]:
    _need_saved(found, "browser")
    folder = _folder(shop, "exports") / "browser"
    (source,), _ = reporting.borders(found, wanted)
    job = browser.Job(
        saved=shop.folder / program.SAVED,
        folder=shop.folder,
        out=folder,
        samples=shop.folder / "samples.npy",
        answers=shop.folder / program.ANSWERS,
        name=name.model,
        label=name.label,
        task=found.task,
        input=source,
        output=found.output,
        preprocessing=source.preprocessing,
        labels=found.labels,
        weights=wanted.browser.weights,
        examples=wanted.browser.examples,
    )
    made = shop.do("target-browser", job, browser.Made, name="build for browsers")
    software |= made.software
    likeness, notes = None, [f"the page checks itself on {made.examples} examples"]
    if made.checked:
        exact = wanted.browser.weights == "float32"
        likeness = _likeness(shop, found, browser.ANSWERS, "browser", exact=exact)
    else:
        notes.append("it has operators of TF.js's own, and was not run here: open the page")
    return folder, Export(
        target="browser",
        use=(
            "in the bundle's folder: python3 -m http.server --directory browser 8000, then open "
            "http://127.0.0.1:8000"
        ),
        likeness=likeness,
        notes=tuple(notes),
    )


def _mobile(shop: Workshop, found: Measured, name: Name, wanted: Recipe) -> tuple[Path, Export]:
    folder = _folder(shop, "exports") / "mobile"
    folder.mkdir()
    (source,), _ = reporting.borders(found, wanted)
    job = mobile.Job(
        model=shop.folder / INT8,
        out=folder / f"{name.model}.tflite",
        name=name.model,
        label=name.label,
        task=found.task,
        input=source,
        output=found.output,
        preprocessing=source.preprocessing,
        labels=found.labels,
        description=wanted.mobile.description,
        author=wanted.mobile.author,
        license=wanted.mobile.license,
    )
    made = shop.do("target-mobile", job, mobile.Made, name="build for phones")
    answers = "mobile-answers.npy"
    asked = litert.Run(
        model=job.out,
        samples=shop.folder / "samples.npy",
        answers=shop.folder / answers,
        stage="running the phones' model",
    )
    shop.do("run", asked, Ran, name="run the phones' model")
    return folder, Export(
        target="mobile",
        use="take it into an app as it is: MediaPipe Tasks, TFLite Task Library or ML Kit",
        likeness=_likeness(shop, found, answers, "mobile", exact=False),
        notes=tuple(_told(job, made)),
    )


def _told(job: mobile.Job, made: mobile.Made) -> Iterator[str]:
    yield f"it takes {made.takes}" + (" pixels" if made.takes == "uint8" else "")
    if job.labels is None:
        yield "it has no labels: give --labels, or apps see numbers"
    if made.picture and job.input.shape[3] == 1:
        yield "MediaPipe's tasks take pictures in colour alone, and this model takes gray ones"


def _need_saved(found: Measured, target: str) -> None:
    if not found.built.program.saved:
        raise ConversionError(
            f"target {target}: it is made of TensorFlow's own graph, and a model of "
            f"{found.source.kind} has none; give the model as Keras, SavedModel or ONNX, or leave "
            f"the target {target} out"
        )


def _likeness(
    shop: Workshop, found: Measured, answers: str, target: str, *, exact: bool = True
) -> Likeness:
    """Compare the ``answers`` with the float model's; ``exact``: they have to be the same."""
    reference, real = _reference(shop.folder), np.load(shop.folder / answers)
    likeness = evaluate.likeness(reference, real.reshape(reference.shape), ranked=found.ranked)
    if exact and likeness.max_abs > _APART * max(1.0, float(np.abs(reference).max())):
        raise ConversionError(
            f"target {target}: what was made answers something else than the model, by up to "
            f"{likeness.max_abs:.3g}; leave the target out, and tell us of the model"
        )
    return likeness


def _reference(folder: Path) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.load(folder / program.ANSWERS)
    return found


def _folder(shop: Workshop, name: str) -> Path:
    folder = shop.folder / name
    folder.mkdir(exist_ok=True)
    return folder
