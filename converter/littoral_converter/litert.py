"""In a child: run a TFLite model on samples, and prove it on its golden vectors.

Goes through core's session and quantization, which serve uses too: the figures that come
from here are equal to what a device answers, to the last sample.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor
from littoral.errors import ConversionError
from littoral.model import selftest, tensors
from littoral.model.backends import Session, open_session
from littoral.model.selftest import Figures
from littoral.resident import resident_bytes
from littoral_converter.worker import Progress, Say

_EVERY = 32  # samples between two words about progress
_TIMED = 500  # invokes: the p99 rests on the five slowest
_TIMED_S = 1.5  # of a model that takes longer than 3 ms, fewer
_LEAST = 30
_WARM_UPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    model: Path
    samples: Path  # .npy of [n, …] float32
    answers: Path  # .npy of [n, …], as the model stores them, goes here
    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    cpu_us: tuple[float, ...]  # of each timed invoke, in order
    wall_us: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove:
    model: Path
    inputs: Path  # golden files, as in a bundle
    outputs: Path
    count: int


def run(job: Run, *, say: Say) -> Ran:
    """Write the answers to all samples, and time the model.

    Raises:
        BackendError: LiteRT refuses the model, or the model fails.

    """
    session = open_session("litert", job.model.read_bytes())
    samples = np.load(job.samples, mmap_mode="r")
    if len(session.inputs) != 1 or len(session.outputs) != 1:
        raise ConversionError("expected a model of one input and one output")
    (spec,) = session.inputs
    answers = []
    for done, sample in enumerate(samples):
        if done % _EVERY == 0:
            say(Progress(stage=job.stage, done=done, of=len(samples)))
        (answer,) = session.run(tensors.quantize(sample[None], spec))
        answers.append(answer[0])
    np.save(job.answers, np.stack(answers))
    say(Progress(stage=job.stage, done=len(samples), of=len(samples)))
    cpu_us, wall_us = _time(session, samples)
    return Ran(inputs=session.inputs, outputs=session.outputs, cpu_us=cpu_us, wall_us=wall_us)


def prove(job: Prove, *, say: Say) -> Figures:
    """Run the golden vectors in a process that has seen nothing else, as a device's trial does.

    Raises:
        BackendError: LiteRT refuses the model, or the model fails.
        MalformedError: The golden files are not what the model takes and gives.

    """
    say(Progress(stage="running the self-test"))
    before = resident_bytes()
    session = open_session("litert", job.model.read_bytes())
    inputs = selftest.unpack(job.inputs.read_bytes(), session.inputs, count=job.count)
    golden = selftest.unpack(job.outputs.read_bytes(), session.outputs, count=job.count)
    return selftest.measure(session, inputs, golden, before_bytes=before)


def _time(
    session: Session, samples: NDArray[np.float32]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the CPU and the wall time of single invokes in µs, after a warm-up."""
    stored = [tensors.quantize(s[None], session.inputs[0]) for s in samples[:_WARM_UPS]]
    for value in stored:
        session.run(value)
    cpu_us, wall_us, end = [], [], time.monotonic() + _TIMED_S
    for k in range(_TIMED):
        if k >= _LEAST and time.monotonic() > end:
            break
        value = stored[k % len(stored)]
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        session.run(value)
        wall_us.append((time.perf_counter_ns() - wall) / 1e3)
        cpu_us.append((time.process_time_ns() - cpu) / 1e3)
    return tuple(cpu_us), tuple(wall_us)
