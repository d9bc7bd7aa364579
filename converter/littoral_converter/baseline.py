"""Describes a measured model's answers as the bundle's baseline. Knows no device."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.baseline import FORMAT, QUANTILES, Baseline, Confidence, Distribution

_BINS: Final = 20


def describe(
    answers: NDArray[np.float32],
    *,
    name: str,
    source: Literal["evaluation", "calibration"],
    ranked: bool,
) -> Baseline:
    """Return how ``answers``, [n, …] in real units, are distributed."""
    flat = answers.reshape(len(answers), -1).astype(np.float64)
    quantiles = dict(zip(map(str, QUANTILES), np.quantile(flat, QUANTILES), strict=True))
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
