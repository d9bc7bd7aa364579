"""In a child: a float program and calibration samples to the model that is released.

Where the model's answers are not near enough, operators are given back floats until they are.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral_converter import guarding
from littoral_converter.guarding import Limit, Standing
from littoral_converter.importers.recurrent import Choice
from littoral_converter.ptq import backend, faces, observe
from littoral_converter.ptq.effort import Step
from littoral_converter.ptq.mixed import Mixer, Point
from littoral_converter.ptq.quantize import Done, quantize
from littoral_converter.worker import Progress, Say

INT8: Final = "int8.tflite"
Kind = Literal["int8", "int16x8", "dynamic", "float16", "weights"]
_CASTS: Final = frozenset({"dynamic", "float16", "weights"})  # activations stay floats
_SOME: Final = 500  # samples that each point of the curve is asked about; the last one all
_TIMED: Final = 30  # invokes of each point of the curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What the model is asked, to see whether it may be released; each an .npy."""

    samples: Path  # [n, …] float32
    answers: Path  # the float model's
    truth: Path | None  # the true classes, where they are known
    limit: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    model: Path  # float TFLite
    out: Path
    calibration: Path  # .npy of [n, …] float32
    kind: Kind = "int8"
    io: Literal["int8", "uint8"] = "int8"
    steps: tuple[Step, ...] | None = None  # None: what the model's work allows
    keep_float: tuple[str, ...] = ()  # operators, by the names of their outputs
    dense_per_tensor: bool = False
    mixed: Guarded | None = None  # None: nothing is given back floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one step made of the model, on calibration samples that no step learned from."""

    step: str
    kept: bool
    loss: float  # 0: the float model's answers
    agreement: float | None  # fraction of samples with the same largest output
    snr_db: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An operator that was given back floats."""

    output: str
    operator: str
    weights: Literal["int8", "float"]  # as what its weights are stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """A point on the curve from all integer to all float, and what it costs."""

    given: tuple[Given, ...]  # beside what the points before it were given
    bytes: int
    cpu_us: float  # the median of an invoke on the machine that converted
    standing: Standing  # on the samples of the evaluation, or some of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """How the model became integers; ``tried`` and ``mixed`` in order, the last one is it."""

    kind: Kind = "int8"
    tried: tuple[Tried, ...] = field(default=())
    mixed: tuple[Mixed, ...] = field(default=())  # empty: no operator was given back floats
    loops: Choice = field(default_factory=Choice)  # what became of recurrent layers

    @property
    def floats(self) -> bool:
        """Whether it computes in floating point, and is meant to."""
        return bool(self.mixed) or self.kind in _CASTS


def run(job: Job, *, say: Say) -> Quantized:
    """Write the quantized model to ``out``.

    Raises:
        ConversionError: It cannot be quantized.
        BackendError: LiteRT refuses what was made.

    """
    data = job.model.read_bytes()
    match job.kind:
        case "dynamic" | "float16" | "weights" as cast:
            say(Progress(stage=f"storing weights: {cast}"))
            job.out.write_bytes(backend.cast(data, cast))
            return Quantized(kind=cast)
        case "int8" | "int16x8":
            return _integers(job, data, say=say)


def _integers(job: Job, data: bytes, *, say: Say) -> Quantized:
    made = quantize(
        data,
        np.load(job.calibration, mmap_mode="r"),
        io=job.io,
        activations="int16" if job.kind == "int16x8" else "int8",
        per_channel=not job.dense_per_tensor,
        steps=job.steps,
        keep_float=job.keep_float,
        say=lambda what, done, of: say(Progress(stage=f"quantizing: {what}", done=done, of=of)),
    )
    model = made.model
    points: tuple[Mixed, ...] = ()
    if job.mixed is not None:
        model, points = _guarded(model, made.mixer, job.mixed, say=say)
        if points and job.io == "uint8":
            model = faces.as_uint8(model)
    job.out.write_bytes(model)
    return Quantized(kind=job.kind, tried=tuple(map(_tried, made.steps)), mixed=points)


def _tried(done: Done) -> Tried:
    return Tried(
        step=done.step,
        kept=done.kept,
        loss=done.verdict.loss,
        agreement=done.verdict.agreement,
        snr_db=done.verdict.snr_db,
        cpu_s=done.cpu_s,
    )


def _guarded(
    model: bytes, mixer: Mixer, wanted: Guarded, *, say: Say
) -> tuple[bytes, tuple[Mixed, ...]]:
    """Return ``model`` where it is near enough, else the first on the curve that is.

    Where not even all floats are, nothing is tried and ``model`` it stays: that it is refused, and
    why, is said elsewhere.
    """
    asked = _Question(wanted)
    say(Progress(stage="asking the INT8 model"))
    if asked.holds(asked.stand(model)) or not asked.holds(asked.stand(mixer.last.model)):
        return model, ()
    points: list[Mixed] = []
    for point in mixer.curve():
        say(Progress(stage="mixing precision", done=_given(points), of=mixer.length))
        points.append(asked.mixed(point))
        if asked.holds(points[-1].standing) and asked.holds(asked.stand(point.model)):
            return point.model, tuple(points)
    return model, ()


def _given(points: list[Mixed]) -> int:
    return sum(len(point.given) for point in points)


class _Question:
    """What a model is asked, and what would be right."""

    def __init__(self, wanted: Guarded) -> None:
        self._limit = wanted.limit
        self._samples: NDArray[np.float32] = np.load(wanted.samples, mmap_mode="r")
        self._answers: NDArray[np.float32] = np.load(wanted.answers)
        self._truth = None if wanted.truth is None else np.load(wanted.truth)

    def stand(self, model: bytes, at: slice = slice(None)) -> Standing:
        truth = None if self._truth is None else self._truth[at]
        answers = observe.answers(model, self._samples[at])
        return guarding.stand(self._answers[at], answers, truth)

    def holds(self, standing: Standing) -> bool:
        return guarding.broken(standing, self._limit) is None

    def mixed(self, point: Point) -> Mixed:
        return Mixed(
            given=tuple(
                Given(
                    output=taken.name,
                    operator=taken.kind,
                    weights="int8" if taken.precision == "widened" else "float",
                )
                for taken in point.taken
            ),
            bytes=len(point.model),
            cpu_us=observe.cpu_us(point.model, self._samples[:_TIMED]),
            standing=self.stand(point.model, slice(None, None, -(-len(self._samples) // _SOME))),
        )
