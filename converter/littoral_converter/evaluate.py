"""How good the INT8 model is, beside the float one: figures of answers, nothing is run here."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MATRIX: Final = 200  # classes up to which the whole matrix is kept
_MISTAKES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """One class's figures for the INT8 model; None where there is nothing to divide by."""

    label: str
    support: int  # samples of this class
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """How often INT8 answered one class where another was true."""

    true: str
    answered: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How near the INT8 model's real answers lie to the float model's."""

    agreement: float | None  # fraction of samples with the same largest output
    cosine_mean: float
    cosine_min: float
    max_abs: float
    mean_abs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Against the true classes."""

    samples: int
    float_accuracy: float
    int8_accuracy: float
    classes: tuple[Class, ...]
    mistakes: tuple[Mistake, ...]  # the most frequent ones, most frequent first
    # [true][answered by INT8]; None for more than MATRIX classes
    confusion: tuple[tuple[int, ...], ...] | None = None

    @property
    def drop(self) -> float:
        return self.float_accuracy - self.int8_accuracy


def likeness(reference: Floats, answers: Floats, *, ranked: bool) -> Likeness:
    """Compare ``answers`` with ``reference``, both [n, …] in real units.

    ``ranked``: the largest output means something.
    """
    a = reference.reshape(len(reference), -1).astype(np.float64)
    b = answers.reshape(len(answers), -1).astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.divide((a * b).sum(axis=1), norms, out=np.ones(len(a)), where=norms > 0)
    apart = np.abs(a - b)
    same = a.argmax(axis=1) == b.argmax(axis=1)
    return Likeness(
        agreement=float(same.mean()) if ranked else None,
        cosine_mean=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        max_abs=float(apart.max()),
        mean_abs=float(apart.mean()),
    )


def score(
    reference: Floats, answers: Floats, y: NDArray[np.int64], *, labels: tuple[str, ...]
) -> Score:
    """Judge both models' answers, [n, classes] each, by the true classes ``y``.

    Raises:
        ValueError: A true class is none that the model knows.

    """
    if y.max() >= len(labels):
        raise ValueError(f"y: found class {int(y.max())}; the model knows 0 to {len(labels) - 1}")
    by_float, by_int8 = reference.argmax(axis=1), answers.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (y, by_int8), 1)
    return Score(
        samples=len(y),
        float_accuracy=float((by_float == y).mean()),
        int8_accuracy=float((by_int8 == y).mean()),
        classes=tuple(_class(confusion, k, label) for k, label in enumerate(labels)),
        mistakes=_mistakes(confusion, labels),
        confusion=tuple(map(tuple, confusion.tolist())) if len(labels) <= MATRIX else None,
    )


def _mistakes(confusion: NDArray[np.int64], labels: tuple[str, ...]) -> tuple[Mistake, ...]:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MISTAKES]
    pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
    return tuple(
        Mistake(true=labels[t], answered=labels[a], count=int(wrong[t, a]))
        for t, a in pairs
        if wrong[t, a]
    )


def _class(confusion: NDArray[np.int64], k: int, label: str) -> Class:
    hit, true, answered = (
        int(n) for n in (confusion[k, k], confusion[k].sum(), confusion[:, k].sum())
    )
    return Class(
        label=label,
        support=true,
        precision=hit / answered if answered else None,
        recall=hit / true if true else None,
        f1=2 * hit / (true + answered) if true + answered else None,
    )
