"""In a child: a float program and calibration samples to the model that is released."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from littoral_converter.ptq.quantize import STEPS, Step, quantize
from littoral_converter.worker import Progress, Say

INT8: Final = "int8.tflite"
# Rounding and equalising look at every weight for every sample: minutes for a large network.
_LARGE: Final = 1_000_000  # parameters
_QUICK: Final[tuple[Step, ...]] = ("relax", "ranges")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    model: Path  # float TFLite
    out: Path
    calibration: Path  # .npy of [n, …] float32
    io: Literal["int8", "uint8"]
    parameters: int
    steps: tuple[Step, ...] | None = None  # None: what its size allows
    dense_per_tensor: bool = False


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
class Quantized:
    """How the model became integers; ``tried`` in order."""

    tried: tuple[Tried, ...] = field(default=())


def run(job: Job, *, say: Say) -> Quantized:
    """Write the quantized model to ``out``.

    Raises:
        ConversionError: It cannot be quantized.
        BackendError: LiteRT refuses what was made.

    """
    steps = job.steps
    if steps is None:
        steps = _QUICK if job.parameters > _LARGE else STEPS
    made = quantize(
        job.model.read_bytes(),
        np.load(job.calibration),
        io=job.io,
        per_channel=not job.dense_per_tensor,
        steps=steps,
        say=lambda step: say(Progress(stage=f"quantizing: {step}")),
    )
    job.out.write_bytes(made.model)
    return Quantized(
        tried=tuple(
            Tried(
                step=done.step,
                kept=done.kept,
                loss=done.verdict.loss,
                agreement=done.verdict.agreement,
                snr_db=done.verdict.snr_db,
                cpu_s=done.cpu_s,
            )
            for done in made.steps
        )
    )
