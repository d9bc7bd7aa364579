"""Trains a Keras model a step further, its weights held where they must be.

One loop for Keras 3 and tf-keras. Equal seeds, samples and software give equal weights.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.compress import kernels
from littoral_converter.compress.hold import Hold
from littoral_converter.compress.lessons import Lesson
from littoral_converter.worker import Progress, Say

Floats = NDArray[np.float32]

_BATCH: Final = 256  # samples that are only asked about
_QUIET_S: Final = 0.2  # between words about progress
_STEEP: Final = 5.0  # a gradient longer than this is cut: recurrent layers have some


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Rows of ``x``, which may be larger than memory.

    ``y`` and ``taught`` are for those rows; one of them may be missing: then the lesson asks for
    the other.
    """

    x: Floats
    rows: NDArray[np.int64]
    y: NDArray[np.int64] | None
    taught: Floats | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, at: NDArray[np.int64] | slice) -> Floats:
        return np.ascontiguousarray(self.x[self.rows[at]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How long and how fast. ``before`` is told, ahead of each batch, what part is over.

    The rate stays as it is for the part ``steady``, and falls to 0 in the rest.
    """

    epochs: int
    batch: int
    rate: float
    seed: int
    stage: str
    steady: float = 0.0
    before: Callable[[float], None] = lambda _: None


def train(
    frame: Any,  # noqa: ANN401 (keras or tf_keras)
    model: Any,  # noqa: ANN401
    samples: Samples,
    *,
    held: Sequence[Hold],
    lesson: Lesson,
    run: Run,
    say: Say,
) -> tuple[float, ...]:
    """Train ``model`` in place, and return the mean loss of each epoch.

    Raises:
        ConversionError: The loss is no number any more.

    """
    import tensorflow as tf

    # A model that was saved with its batch takes no other.
    batch = model.inputs[0].shape[0] or min(run.batch, len(samples))
    each = len(samples) // batch
    if not each:
        raise ConversionError(
            f"training: {len(samples)} samples are fewer than the model's own batch of {batch}"
        )
    optimizer = frame.optimizers.Adam(run.rate)
    step = _step(tf, model, held, optimizer, lesson)
    rng = np.random.default_rng(run.seed)
    losses: list[float] = []
    spoken = 0.0
    for epoch in range(run.epochs):
        total = 0.0
        for done, rows in enumerate(_batches(rng, len(samples), batch)):
            over = (epoch * each + done) / (run.epochs * each)
            run.before(over)
            optimizer.learning_rate = _rate(run, over)
            total += float(step(*_tensors(tf, samples, rows)))
            if time.monotonic() - spoken > _QUIET_S:
                spoken = time.monotonic()
                words = f"{run.stage}: epoch {epoch + 1} of {run.epochs}"
                say(Progress(stage=words, done=epoch * each + done, of=run.epochs * each))
        losses.append(total / each)
        if not math.isfinite(total):
            raise ConversionError(
                f"{run.stage}: the loss is no number any more after epoch {epoch + 1}; "
                f"give a learning_rate below {run.rate:g}"
            )
    return tuple(losses)


def answers(model: Any, samples: Samples, *, most: int | None = None) -> Floats:  # noqa: ANN401
    """Return what ``model`` answers, to the first ``most`` of them."""
    import tensorflow as tf

    ask = tf.function(
        lambda batch: model(batch, training=False), reduce_retracing=True, autograph=False
    )
    size = model.inputs[0].shape[0] or _BATCH
    count = min(len(samples), most or len(samples))
    found = [
        np.asarray(ask(tf.constant(samples.some(slice(at, at + size)))))
        for at in range(0, count, size)
    ]
    return np.concatenate(found).astype(np.float32)


def loss(lesson: Lesson, found: Floats, samples: Samples) -> float:
    """Return the lesson's loss of answers that were given."""
    import tensorflow as tf

    every = np.arange(len(samples))
    _, y, taught = _tensors(tf, samples, every, x=False)
    return float(lesson.loss(tf, tf.constant(found), y, taught))


def _rate(run: Run, over: float) -> float:
    falling = max(0.0, over - run.steady) / (1 - run.steady)
    return run.rate * (1 + math.cos(math.pi * falling)) / 2


def _batches(rng: np.random.Generator, count: int, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield whole batches only: another size would be traced anew, and order changes anyway."""
    order = rng.permutation(count)
    for at in range(0, count - size + 1, size):
        yield np.sort(order[at : at + size])


def _tensors(
    tf: Any,  # noqa: ANN401
    samples: Samples,
    rows: NDArray[np.int64],
    *,
    x: bool = True,
) -> tuple[Any, Any, Any]:
    nothing = tf.constant(0)
    return (
        tf.constant(samples.some(rows)) if x else nothing,
        nothing if samples.y is None else tf.constant(samples.y[rows]),
        nothing if samples.taught is None else tf.constant(samples.taught[rows]),
    )


def _step(
    tf: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    held: Sequence[Hold],
    optimizer: Any,  # noqa: ANN401
    lesson: Lesson,
) -> Callable[..., Any]:
    """Return what learns from one batch, and says the loss."""
    bound = [hold for hold in held if not hold.free]
    variables = list(model.trainable_variables)
    raw = [kernels.value_of(variable) for variable in variables]

    def step(x: Any, y: Any, taught: Any) -> Any:  # noqa: ANN401
        free = [hold.kernel.variable.read_value() for hold in bound]
        for hold, weights in zip(bound, free, strict=True):
            hold.kernel.variable.assign(hold.place(tf, weights))
        with tf.GradientTape() as tape:
            found = tf.cast(model(x, training=True), tf.float32)  # where it computes in halves
            value = lesson.loss(tf, found, y, taught)
            value += sum(model.losses)  # what its layers regularize
        gradients = tape.gradient(value, raw)
        for hold, weights in zip(bound, free, strict=True):
            hold.kernel.variable.assign(weights)
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        cut, _ = tf.clip_by_global_norm([g for g, _ in pairs], _STEEP)
        optimizer.apply_gradients(zip(cut, [v for _, v in pairs], strict=True))
        return value

    return tf.function(step, autograph=False)  # type: ignore[no-any-return]
