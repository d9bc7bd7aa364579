"""What drift is measured against: read, or refused where it would stop who reads it."""

import json
from typing import Any

import pytest

from littoral.bundle.baseline import MAX_BINS, Baseline
from littoral.errors import MalformedError

GOOD: dict[str, Any] = {
    "format": 1,
    "source": "evaluation",
    "samples": 10,
    "outputs": [{"name": "p", "mean": 0.3, "std": 0.1, "quantiles": {}}],
    "answered": [5, 5, 0],
    "confidence": {"edges": [0.0, 0.5, 1.0], "counts": [4, 6], "mean": 0.8},
}


def read(**changes: Any) -> Baseline:
    return Baseline.from_json(json.dumps(GOOD | changes).encode())


def bins(count: int) -> dict[str, Any]:
    return {"edges": list(range(count + 1)), "counts": [1] * count, "mean": 0.5}


def test_it_is_read() -> None:
    assert read().answered == (5, 5, 0)
    assert read(confidence=bins(MAX_BINS)).confidence is not None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"samples": 0}, "samples"),
        ({"samples": -5}, "samples"),
        ({"answered": [5, -5, 0]}, "answered"),
        ({"confidence": {"edges": [0.0, 0.5, 1.0], "counts": [1, -1], "mean": 0}}, "counts"),
        ({"confidence": {"edges": [0.0, 1.0, 0.5], "counts": [1, 1], "mean": 0}}, "ascending"),
        ({"confidence": bins(MAX_BINS + 1)}, "at most 256"),
    ],
)
def test_counts_that_nobody_can_have_counted_are_refused(changes: dict[str, Any], why: str) -> None:
    """They would divide by zero, or be more bins than a sketch has, where answers are compared."""
    with pytest.raises(MalformedError, match=why):
        read(**changes)
