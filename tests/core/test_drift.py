"""Drift: what is said of answers that moved, of those that did not, and of too few."""

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]

from littoral.bundle.baseline import Baseline, Confidence, Distribution
from littoral.wire import drift
from littoral.wire.sketch import Sketch


def _baseline(answered: tuple[int, ...] | None = None, **more: object) -> Baseline:
    one = Distribution(name="y", mean=0.0, std=1.0, quantiles=more.pop("quantiles", {}))  # type: ignore[arg-type]
    return Baseline(
        format=1,
        source="evaluation",
        samples=1000,
        outputs=(one,),
        answered=answered,
        **more,  # type: ignore[arg-type]
    )


def _classes(answered: tuple[int, ...]) -> drift.Expected:
    (one,) = drift.expected(_baseline(answered))
    return one


def _drawn(shares: list[float], count: int, seed: int = 1) -> dict[int, int]:
    numbers = np.random.default_rng(seed).choice(len(shares), count, p=shares)
    return {int(i): int(n) for i, n in zip(*np.unique(numbers, return_counts=True), strict=True)}


def test_the_same_distribution_is_stable_whatever_the_draw() -> None:
    wanted = _classes((100,) * 10)
    levels = [drift.compare(wanted, _drawn([0.1] * 10, 300, seed)).level for seed in range(200)]
    assert set(levels) == {"stable"}


@pytest.mark.parametrize(
    ("shares", "level"),
    [
        ([0.1] * 10, "stable"),
        ([0.2, 0.16, 0.12, 0.1, 0.1, 0.1, 0.08, 0.06, 0.04, 0.04], "moderate"),
        ([0.91] + [0.01] * 9, "significant"),
    ],
)
def test_how_far_it_moved_is_said(shares: list[float], level: str) -> None:
    assert drift.compare(_classes((100,) * 10), _drawn(shares, 5000)).level == level


def test_of_few_answers_nothing_is_said() -> None:
    found = drift.compare(_classes((100,) * 10), {0: drift.FEW - 1})
    assert found.level == "few"
    assert drift.compare(_classes((100,) * 10), {}).level == "few"


def test_a_class_that_the_baseline_never_saw_counts() -> None:
    found = drift.compare(_classes((500, 500, 0)), {2: 1000})
    assert found.level == "significant"
    assert found.index > 1


def test_of_many_classes_the_rare_ones_are_one() -> None:
    answered = tuple(range(1000))
    wanted = _classes(answered)
    shares = [n / sum(answered) for n in answered]
    found = drift.compare(wanted, _drawn(shares, 2000))
    assert len(found.bins) == 20
    assert found.bins[-1] is None
    assert found.level == "stable"
    assert sum(found.expected) == pytest.approx(1)


def test_the_p_value_is_that_of_the_chi_square_test() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        before = rng.integers(20, 200, 8)
        after = rng.integers(20, 200, 8)
        wanted = drift.Expected(kind="confidence", counts=tuple(map(float, before)))
        ours = drift.compare(wanted, dict(enumerate(after.tolist()))).p_value
        theirs = stats.chi2_contingency(np.stack([before, after]), correction=False).pvalue
        assert ours == pytest.approx(theirs, abs=2e-3)


def test_counts_travel_as_sketches_and_add_up() -> None:
    merged = Sketch()
    for counts in ({0: 3, 7: 1}, {7: 2, 2560: 5}):
        merged.merge(Sketch.decode(drift.carried(counts).encode()))
    assert drift.counted(merged) == {0: 3, 7: 3, 2560: 5}


def test_confidence_and_values_are_compared_where_the_baseline_has_them() -> None:
    confidence = Confidence(edges=(0.0, 0.5, 1.0), counts=(10, 90), mean=0.9)
    kinds = [e.kind for e in drift.expected(_baseline((50, 50), confidence=confidence))]
    assert kinds == ["classes", "confidence"]
    steps = dict(
        zip(map(str, (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)), range(9), strict=True)
    )
    (values,) = drift.expected(_baseline(quantiles=steps))
    assert values.kind == "values"
    assert values.counts == pytest.approx([10, 40, 200, 250, 250, 200, 40, 10])
    assert drift.expected(_baseline(quantiles=dict.fromkeys(steps, 0.0))) == ()
