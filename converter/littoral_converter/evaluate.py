"""How good a model is, alone and beside another: figures of answers, nothing is run here."""

from dataclasses import dataclass
from itertools import starmap
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MATRIX: Final = 200  # classes up to which the whole matrix is kept
_MISTAKES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """One class's figures; None where there is nothing to divide by."""

    label: str
    support: int  # samples of this class
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """Of the classes that have samples, each counting as much as any other (macro)."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One model against the true classes."""

    accuracy: float
    macro: Averages
    classes: tuple[Class, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """One model against true numbers; ``r2`` is None where these are all the same."""

    mae: float
    rmse: float
    max_abs: float
    bias: float  # the mean of answer less truth
    r2: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Against true numbers."""

    samples: int
    float_errors: Errors
    int8_errors: Errors


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
    float_macro: Averages
    int8_macro: Averages
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
    before, after = rate(reference, y, labels=labels), rate(answers, y, labels=labels)
    answered, few = answers.argmax(axis=1), len(labels) <= MATRIX
    return Score(
        samples=len(y),
        float_accuracy=before.accuracy,
        int8_accuracy=after.accuracy,
        float_macro=before.macro,
        int8_macro=after.macro,
        classes=after.classes,
        mistakes=_mistakes(y, answered, labels),
        confusion=_confusion(y, answered, len(labels)) if few else None,
    )


def rate(answers: Floats, y: NDArray[np.int64], *, labels: tuple[str, ...]) -> Rating:
    """Judge one model's answers, [n, classes], by the true classes ``y``.

    Raises:
        ValueError: A true class is none that the model knows.

    """
    if y.max() >= len(labels):
        raise ValueError(f"y: found class {int(y.max())}; the model knows 0 to {len(labels) - 1}")
    answered = answers.argmax(axis=1)
    hits = y[y == answered]
    # Not from a matrix: of twenty thousand classes it would have gigabytes.
    counts = (np.bincount(found, minlength=len(labels)).tolist() for found in (hits, y, answered))
    classes = tuple(starmap(_class, zip(labels, *counts, strict=True)))
    there = [one for one in classes if one.support]
    return Rating(
        accuracy=len(hits) / len(y),
        macro=Averages(
            # A class that is never answered has no precision of its own; it helps nobody: 0.
            precision=_mean([one.precision or 0.0 for one in there]),
            recall=_mean([one.recall or 0.0 for one in there]),
            f1=_mean([one.f1 or 0.0 for one in there]),
        ),
        classes=classes,
    )


def errors(answers: Floats, targets: Floats) -> Errors:
    """Judge one model's answers by true numbers, both [n, …].

    Raises:
        ValueError: They are not of one shape.

    """
    found, true = (a.reshape(len(a), -1).astype(np.float64) for a in (answers, targets))
    if found.shape != true.shape:
        raise ValueError(
            f"y: expected {found.shape[1]} numbers a sample, as the model answers, found "
            f"{true.shape[1]}"
        )
    apart = found - true
    spread = float(np.square(true - true.mean(axis=0)).sum())
    return Errors(
        mae=float(np.abs(apart).mean()),
        rmse=float(np.sqrt(np.square(apart).mean())),
        max_abs=float(np.abs(apart).max()),
        bias=float(apart.mean()),
        r2=1 - float(np.square(apart).sum()) / spread if spread else None,
    )


def regression(reference: Floats, answers: Floats, targets: Floats) -> Regression:
    """Judge both models' answers by true numbers, all [n, …]. Raises ValueError."""
    return Regression(
        samples=len(targets),
        float_errors=errors(reference, targets),
        int8_errors=errors(answers, targets),
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _confusion(
    y: NDArray[np.int64], answered: NDArray[np.int64], classes: int
) -> tuple[tuple[int, ...], ...]:
    """Return [true][answered]."""
    found = np.zeros((classes, classes), np.int64)
    np.add.at(found, (y, answered), 1)
    return tuple(map(tuple, found.tolist()))


def _mistakes(
    y: NDArray[np.int64], answered: NDArray[np.int64], labels: tuple[str, ...]
) -> tuple[Mistake, ...]:
    """Return the most frequent ones; of equally frequent ones the first classes'."""
    wrong = y != answered
    pairs, counts = np.unique(y[wrong] * len(labels) + answered[wrong], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MISTAKES]
    return tuple(
        Mistake(true=labels[pair // len(labels)], answered=labels[pair % len(labels)], count=count)
        for pair, count in zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    )


def _class(label: str, hit: int, true: int, answered: int) -> Class:
    return Class(
        label=label,
        support=true,
        precision=hit / answered if answered else None,
        recall=hit / true if true else None,
        f1=2 * hit / (true + answered) if true + answered else None,
    )
