"""How the model's answers were distributed when it was released: what drift is measured against.

The bundle's ``baseline.json`` is a Baseline. It holds counts, no sample.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

FORMAT: Final = 1
_BINS: Final = 20
_QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Of all elements of one output, in real units."""

    name: str
    mean: float
    std: float
    quantiles: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Of the largest output of each sample; bin i holds edges[i] <= value < edges[i + 1]."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    format: int
    source: Literal["evaluation", "calibration"]
    samples: int
    outputs: tuple[Distribution, ...]
    answered: tuple[int, ...] | None = None  # how often each class was the answer
    confidence: Confidence | None = None


def describe(
    answers: NDArray[np.float32],
    *,
    name: str,
    source: Literal["evaluation", "calibration"],
    ranked: bool,
) -> Baseline:
    """Return how ``answers``, [n, …] in real units, are distributed."""
    flat = answers.reshape(len(answers), -1).astype(np.float64)
    quantiles = dict(zip(map(str, _QUANTILES), np.quantile(flat, _QUANTILES), strict=True))
    return Baseline(
        format=FORMAT,
        source=source,
        samples=len(flat),
        outputs=(
            Distribution(
                name=name,
                mean=float(flat.mean()),
                std=float(flat.std()),
                quantiles={key: float(value) for key, value in quantiles.items()},
            ),
        ),
        answered=_answered(flat) if ranked else None,
        confidence=_confidence(flat.max(axis=1)) if ranked else None,
    )


def _answered(flat: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.bincount(flat.argmax(axis=1), minlength=flat.shape[1]))


def _confidence(largest: NDArray[np.float64]) -> Confidence:
    low, high = float(largest.min()), float(largest.max())
    probabilities = low >= 0 and high <= 1
    edges = np.linspace(0, 1, _BINS + 1) if probabilities else np.linspace(low, high, _BINS + 1)
    counts, edges = np.histogram(largest, edges)
    return Confidence(
        edges=tuple(float(e) for e in edges),
        counts=tuple(int(n) for n in counts),
        mean=float(largest.mean()),
    )
