import numpy as np
import pytest

from littoral import records
from littoral.bundle.baseline import Baseline
from littoral_converter import baseline

PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [1.0, 0.0]], np.float32)


def test_answers_and_confidence_are_counted() -> None:
    found = baseline.describe(PROBABILITIES, name="p", source="evaluation", ranked=True)
    assert found.samples == 4
    assert found.answered == (3, 1)
    assert found.confidence is not None
    assert sum(found.confidence.counts) == 4
    assert (found.confidence.edges[0], found.confidence.edges[-1]) == (0, 1)
    assert found.confidence.mean == pytest.approx(0.85)
    (p,) = found.outputs
    assert p.mean == pytest.approx(0.5)
    assert p.quantiles["0.0"] == 0
    assert p.quantiles["1.0"] == 1


def test_logits_are_binned_over_their_own_range() -> None:
    found = baseline.describe(PROBABILITIES * 40 - 9, name="z", source="calibration", ranked=True)
    assert found.confidence is not None
    assert found.confidence.edges[0] == pytest.approx(19)
    assert found.confidence.edges[-1] == pytest.approx(31)


def test_answers_that_are_no_ranking_have_a_distribution_alone() -> None:
    found = baseline.describe(PROBABILITIES, name="p", source="evaluation", ranked=False)
    assert found.answered is None
    assert found.confidence is None


def test_the_file_reads_back() -> None:
    found = baseline.describe(PROBABILITIES, name="p", source="evaluation", ranked=True)
    assert records.from_json(Baseline, records.to_json(found), limit=10_000) == found
