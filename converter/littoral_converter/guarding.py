"""Whether a model's answers are near enough to the float model's to be released. Rules only."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.recipe import Guard

_DROP: Final = 0.02  # of accuracy, where the recipe says nothing
_RANK: Final = 2  # [samples, classes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    max_drop: float  # of accuracy, where it can be measured
    min_agreement: float

    @classmethod
    def of(cls, wanted: Guard) -> "Limit":
        drop = _DROP if wanted.max_accuracy_drop is None else wanted.max_accuracy_drop
        return cls(max_drop=drop, min_agreement=wanted.min_agreement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a model does; None where nobody can know."""

    samples: int
    agreement: float | None  # fraction of samples with the float model's largest output
    accuracy: float | None
    float_accuracy: float | None


def stand(
    reference: NDArray[np.float32], answers: NDArray[np.float32], truth: NDArray[np.int64] | None
) -> Standing:
    """Return how ``answers`` do beside ``reference``, both [samples, …] in real units."""
    if answers.ndim != _RANK or answers.shape[1] == 1:
        return Standing(samples=len(answers), agreement=None, accuracy=None, float_accuracy=None)
    by_float, by_model = reference.argmax(axis=1), answers.argmax(axis=1)
    return Standing(
        samples=len(answers),
        agreement=float((by_float == by_model).mean()),
        accuracy=None if truth is None else float((by_model == truth).mean()),
        float_accuracy=None if truth is None else float((by_float == truth).mean()),
    )


def broken(standing: Standing, limit: Limit) -> str | None:
    """Return in words which limit does not hold; None where all do."""
    agreement = standing.agreement
    if agreement is not None and agreement < limit.min_agreement:
        return (
            f"it gives the float model's answer to {agreement:.1%} of the samples, and "
            f"guard.min_agreement asks for {limit.min_agreement:.1%}"
        )
    if standing.accuracy is None or standing.float_accuracy is None:
        return None
    drop = standing.float_accuracy - standing.accuracy
    # One sample more or less is chance, however few there are.
    if drop <= max(limit.max_drop, 1 / standing.samples):
        return None
    return (
        f"its accuracy is {standing.accuracy:.1%} after {standing.float_accuracy:.1%}, and "
        f"{100 * limit.max_drop:g} points less are allowed"
    )
