import numpy as np

from littoral_converter.ptq import ranges


def test_a_rare_extreme_does_not_make_everything_coarse() -> None:
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(size=(20_000, 4))).astype(np.float32)
    values[0] = 400
    low, high = ranges.best(values)
    assert low == 0
    assert 20 < high < 400
    assert ranges.errors(values, (low, high)).sum() < ranges.errors(values, (0, 400)).sum()


def test_a_range_is_never_wider_than_what_was_seen() -> None:
    values = np.linspace(-1, 3, 1000, dtype=np.float32)[:, None]
    low, high = ranges.best(values)
    assert -1 <= low < 0
    assert 2.5 < high <= 3


def test_what_a_relu_swallows_needs_no_steps() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, 3)).astype(np.float32)
    values[::2] -= 60
    added = np.abs(rng.normal(size=(5000, 3))).astype(np.float32)
    low, _ = ranges.best(values)
    assert low < -50
    swallowed, _ = ranges.best(values, added=added)
    assert swallowed > -20


def test_channels_that_matter_more_decide() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, size=(4000, 2)).astype(np.float32)
    values[:, 1] *= 100
    _, high = ranges.best(values, np.array([1, 0], np.float32))
    assert high < 20


def test_nothing_but_zero_has_the_range_of_nothing() -> None:
    assert ranges.best(np.zeros((10, 2), np.float32)) == (0, 0)


def test_zero_is_exact_in_every_range() -> None:
    for limits in ((-1.0, 3.3), (0.0, 5.0), (-7.7, 0.0)):
        assert ranges.rounded(np.zeros((1, 1), np.float32), limits) == 0
