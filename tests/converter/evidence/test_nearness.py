"""What is told of a tensor, by sums that stand for it."""

from typing import Any

import numpy as np
import pytest

from littoral_converter.evidence import nearness
from littoral_converter.evidence.nearness import judge

RNG = np.random.default_rng(5)
A = RNG.normal(0, 1, (500, 8)) * np.linspace(0.2, 3, 8)


def judged(b: Any) -> tuple[float, float, bool]:
    return judge((A * A).sum(0), (A * b).sum(0), (b * b).sum(0))


def test_equal_tensors_have_no_error() -> None:
    error, cosine, scaled = judged(A)
    assert error == pytest.approx(0, abs=1e-6)
    assert cosine == pytest.approx(1)
    assert not scaled


def test_the_error_is_the_noises_part_of_the_signal() -> None:
    noise = RNG.normal(0, 0.1, A.shape)
    error, cosine, scaled = judged(A + noise)
    assert error == pytest.approx(np.sqrt((noise**2).sum() / (A**2).sum()))
    assert 0.99 < cosine < 1
    assert not scaled


def test_channels_that_were_scaled_on_purpose_are_judged_beside_their_gain() -> None:
    gains = np.array([0.5, 2, 1, 4, 0.25, 1, 3, 0.7])
    noise = RNG.normal(0, 0.01, A.shape)
    error, cosine, scaled = judged((A + noise) * gains)
    assert scaled
    assert 0.999 < cosine < 1
    assert error < 0.02
    assert judged(A * gains)[0] == pytest.approx(0, abs=1e-6)


def test_a_tensor_that_is_wrong_is_not_excused_as_scaled() -> None:
    error, cosine, scaled = judged(RNG.permutation(A))
    assert (error > 1, cosine < 0.5, scaled) == (True, True, False)
    error, _, scaled = judged(A * 1.2)  # one gain for all is an error
    assert error == pytest.approx(0.2)
    assert not scaled


def test_silence_is_compared_too() -> None:
    zero = np.zeros(8)
    assert judge(zero, zero, zero) == (0.0, 1.0, False)
    assert judge(zero, zero, zero + 1) == (1.0, 0.0, False)


def test_large_tensors_are_looked_at_in_evenly_spread_rows() -> None:
    value = np.arange(512 * 512 * 4, dtype=np.float32).reshape(1, 512, 512, 4)
    rows = nearness._rows(value)
    assert rows.size <= 2 * nearness._ROWS
    assert rows.shape[1] == 4
    assert rows[-1, 0] > 0.9 * value.max()
