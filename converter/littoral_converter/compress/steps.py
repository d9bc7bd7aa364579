"""In a child: a Keras model through the steps of a recipe, and what each of them did.

What a step did to a weight, all later steps keep: a mask stays a mask and a cluster a cluster,
so their order is all that has to be thought of.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral_converter.compress import kernels, models, standing
from littoral_converter.compress.deeds import Deed, Made
from littoral_converter.compress.hold import Hold
from littoral_converter.compress.kernels import Kernel
from littoral_converter.compress.lessons import Score
from littoral_converter.compress.pupil import Pupil
from littoral_converter.compress.standing import Layer, Standing
from littoral_converter.compress.training import Run
from littoral_converter.compress.wanted import Compress, Training
from littoral_converter.worker import Progress, Say

MODEL: Final = "compressed"  # and .keras, of the Keras that it was of
_FOR_WEIGHTS: Final = {"prune", "cluster", "qat"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """``teachers`` are one for each step; empty where it has none."""

    model: Path
    folder: Path  # where the model goes, under MODEL's name
    x: Path  # .npy of [n, …] float32
    y: Path | None = None  # .npy of [n] int64
    classes: bool = False  # the task is known to be about classes
    steps: tuple[Compress, ...] = ()
    teachers: tuple[str, ...] = ()
    training: Training = field(default_factory=Training)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one step did."""

    step: str
    epochs: int
    learning_rate: float
    seconds: float
    before: Standing
    after: Standing
    layers: tuple[Layer, ...]  # that it was for, as it left them
    losses: tuple[float, ...]  # of each epoch
    untouched: tuple[str, ...] = ()  # that it was for, and could not change
    teacher: Score | None = None
    rounded: Score | None = None  # qat: as the integers will answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    model: str  # its file's name
    samples: int  # that it learned from
    judged: int  # that judge, and nothing learned from
    steps: tuple[Done, ...]
    software: dict[str, str]


def run(job: Job, *, say: Say) -> Compressed:
    """Leave the compressed model in the job's folder.

    Raises:
        MalformedError: Keras cannot read the model, or a teacher.
        MisuseError: Samples, classes, layers or a teacher do not fit the model.
        ConversionError: It cannot be trained; says what to do.

    """
    say(Progress(stage="loading TensorFlow"))
    import tensorflow as tf

    _same_each_time(tf, job.training.seed)
    say(Progress(stage="loading the model"))
    loaded = models.load(job.model, job.folder)
    found = kernels.find(loaded.model)
    pupil = Pupil.of(loaded, job.x, job.y, training=job.training, classes=job.classes)
    held = {kernel.name: Hold(kernel=kernel) for kernel in found}
    # Names of layers are looked at first: nobody waits an hour to hear of a wrong one.
    wanted = [
        kernels.chosen(found, step.layers, step.skip, step=step.step)
        if step.step in _FOR_WEIGHTS
        else found
        for step in job.steps
    ]
    done = tuple(_take(job, k, pupil, held, wanted[k], say=say) for k in range(len(job.steps)))
    return Compressed(
        model=models.save(loaded, job.folder / MODEL),
        samples=len(pupil.learned),
        judged=len(pupil.judged),
        steps=done,
        software=loaded.software,
    )


def _take(
    job: Job,
    number: int,
    pupil: Pupil,
    held: dict[str, Hold],
    chosen: tuple[Kernel, ...],
    *,
    say: Say,
) -> Done:
    """Do one step, and say what it did."""
    step = job.steps[number]
    stage = f"step {number + 1} of {len(job.steps)}, {step.step}"
    say(Progress(stage=stage))
    start = time.monotonic()
    teacher = job.teachers[number] if job.teachers else ""
    pupil = pupil.taught_by(step, teacher, job.folder / f"teacher-{number}")
    before = _stand(pupil, held)
    deed = Deed(
        pupil=pupil,
        held=tuple(held.values()),
        chosen=tuple(held[kernel.name] for kernel in chosen),
        run=Run(
            epochs=step.epochs or job.training.epochs,
            batch=job.training.batch,
            rate=step.rate,
            seed=job.training.seed + number,
            stage=stage,
        ),
        say=say,
    )
    made: Made = deed.do(step)
    return Done(
        step=step.step,
        epochs=deed.run.epochs,
        learning_rate=deed.run.rate,
        seconds=time.monotonic() - start,
        before=before,
        after=_stand(pupil, held),
        layers=standing.layers(kernels.matrices(chosen)),
        losses=made.losses,
        untouched=made.untouched,
        teacher=pupil.teacher,
        rounded=made.rounded,
    )


def _stand(pupil: Pupil, held: dict[str, Hold]) -> Standing:
    every = tuple(hold.kernel for hold in held.values())
    return standing.stand(kernels.matrices(every), pupil.score(pupil.ask()))


def _same_each_time(tf: Any, seed: int) -> None:  # noqa: ANN401
    random.seed(seed)  # what layers with a seed of their own draw it from
    np.random.seed(seed)  # noqa: NPY002 (tf-keras draws from it)
    tf.random.set_seed(seed)
    tf.config.experimental.enable_op_determinism()
