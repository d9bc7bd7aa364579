"""What a model is taught, and how well it knows it: losses and figures of answers.

True classes where they are known; otherwise, and for a part of the loss, what a teacher answers.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MisuseError

Floats = NDArray[np.float32]

Form = Literal["probabilities", "scores", "yes-no", "numbers"]
_LEAST: Final = 1e-7  # probability: below, a logarithm is no help
_SUM: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of samples that nothing learned from."""

    loss: float | None  # None: of a teacher, whose loss is another
    accuracy: float | None = None  # None: the true classes are not known, or there are none
    agreement: float | None = None  # fraction of samples with the first model's answer


def form(answers: Floats, *, classes: bool) -> Form:
    """Return what the last axis means; ``classes``: somebody says that it is about classes."""
    rows = answers.reshape(-1, answers.shape[-1])
    bounded = bool((rows >= 0).all() and (rows <= 1 + _SUM).all())
    if rows.shape[1] == 1:
        return "yes-no" if classes and bounded else "numbers"
    if bounded and np.abs(rows.sum(axis=1) - 1).max() < _SUM:
        return "probabilities"
    return "scores" if classes else "numbers"


def check(y: NDArray[np.int64] | None, answers: Floats, *, kind: Form) -> None:
    """Do nothing if the true classes fit the model's answers.

    Raises:
        MisuseError: They do not.

    """
    if y is None:
        return
    if answers.ndim != 2 or kind == "numbers":  # noqa: PLR2004
        raise MisuseError(
            f"training: y holds classes, and the model answers {list(answers.shape[1:])} numbers; "
            "leave y out, and the model as it was given is the teacher"
        )
    known = 2 if kind == "yes-no" else answers.shape[1]
    if int(y.max()) >= known:
        raise MisuseError(
            f"training: y holds class {int(y.max())}; the model knows 0 to {known - 1}"
        )


def scores(tf: Any, answers: Any, kind: Form) -> Any:  # noqa: ANN401
    """Return ``answers`` as scores of classes, of which a softmax is taken."""
    match kind:
        case "probabilities":
            return tf.math.log(tf.maximum(answers, _LEAST))
        case "yes-no":
            held = tf.clip_by_value(answers, _LEAST, 1 - _LEAST)
            yes = tf.math.log(held) - tf.math.log(1 - held)
            return tf.concat([tf.zeros_like(yes), yes], axis=-1)
        case _:
            return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How one step judges an answer. ``alpha`` is the teacher's part."""

    kind: Form
    alpha: float
    temperature: float = 1.0
    taught: Form | None = None  # of the teacher's answers; None: they are as the model's

    def loss(self, tf: Any, answers: Any, y: Any, taught: Any) -> Any:  # noqa: ANN401
        """Return the mean loss of a batch; ``y`` may be anything where alpha is 1."""
        total = tf.constant(0.0)
        if self.alpha < 1:
            found = scores(tf, answers, self.kind)
            lost = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=found)
            total += (1 - self.alpha) * tf.reduce_mean(lost)
        if self.alpha > 0:
            total += self.alpha * self._taught(tf, answers, taught)
        return total

    def _taught(self, tf: Any, answers: Any, taught: Any) -> Any:  # noqa: ANN401
        if self.kind == "numbers":
            return tf.reduce_mean(tf.square(answers - taught))
        soft = self.temperature
        wanted = tf.nn.softmax(scores(tf, taught, self.taught or self.kind) / soft)
        found = scores(tf, answers, self.kind) / soft
        lost = tf.nn.softmax_cross_entropy_with_logits(labels=wanted, logits=found)
        own = -tf.reduce_sum(
            tf.math.xlogy(wanted, wanted), axis=-1
        )  # 0 is: the pupil knows all of it
        return soft**2 * tf.reduce_mean(lost - own)


def score(
    answers: Floats, first: Floats, y: NDArray[np.int64] | None, *, loss: float | None, kind: Form
) -> Score:
    """Return how good ``answers`` are, beside those of the model as it was given, ``first``."""
    if kind == "numbers":
        return Score(loss=loss)
    decided, before = _decided(answers, kind), _decided(first, kind)
    return Score(
        loss=loss,
        accuracy=None if y is None else float((decided == y).mean()),
        agreement=float((decided == before).mean()),
    )


def _decided(answers: Floats, kind: Form) -> NDArray[np.int64]:
    if kind == "yes-no":
        return (answers[..., 0] > 0.5).astype(np.int64)  # noqa: PLR2004
    return np.asarray(answers.argmax(axis=-1), np.int64)
