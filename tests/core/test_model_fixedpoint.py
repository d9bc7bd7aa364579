"""Fixed-point multipliers against TFLite's arithmetic, one number at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littoral.model.fixedpoint import Multiplier, round_away

INT32 = st.integers(-(2**31), 2**31 - 1)
REALS = st.floats(1e-9, 0.999, allow_nan=False)


def c_divide(a: int, b: int) -> int:
    return abs(a) // b * (1 if a >= 0 else -1)


def twice_rounded(value: int, mantissa: int, shift: int) -> int:
    """Return MultiplyByQuantizedMultiplier of a right shift, as its source has it."""
    product = value * mantissa
    high = c_divide(product + (2**30 if product >= 0 else 1 - 2**30), 2**31)
    right = -shift
    mask = (1 << right) - 1
    threshold = (mask >> 1) + (1 if high < 0 else 0)
    return (high >> right) + (1 if (high & mask) > threshold else 0)


@given(INT32, REALS)
def test_it_is_tflites_to_the_bit(value: int, real: float) -> None:
    factor = Multiplier.of(real)
    mantissa, shift = int(factor.mantissa[0]), int(factor.shift[0])
    found = factor.apply(np.array([value], np.int64))
    assert int(found[0]) == twice_rounded(value, mantissa, shift)


@given(INT32, REALS)
def test_it_lies_within_one_of_the_real_product(value: int, real: float) -> None:
    factor = Multiplier.of(real)
    given_value = np.array([value], np.int64)
    for found in (factor.apply(given_value), factor.apply_once(given_value)):
        assert abs(int(found[0]) - value * real) <= 1 + abs(value) * 2**-30


@given(st.floats(1e-9, 1e3))
def test_mantissa_and_shift_make_the_real_number(real: float) -> None:
    factor = Multiplier.of(real)
    made = math.ldexp(int(factor.mantissa[0]), int(factor.shift[0]) - 31)
    assert made == pytest.approx(real, rel=2**-30)
    assert 2**30 <= int(factor.mantissa[0]) < 2**31


def test_what_is_almost_two_to_a_power_carries() -> None:
    factor = Multiplier.of(1 - 2**-40)
    assert (int(factor.mantissa[0]), int(factor.shift[0])) == (2**30, 1)


def test_what_is_too_small_is_zero() -> None:
    assert Multiplier.of(2.0**-40).apply(np.array([2**31 - 1], np.int64)).tolist() == [0]


def test_every_channel_has_its_own() -> None:
    factor = Multiplier.of(np.array([0.5, 0.25, 0.125]))
    assert factor.apply(np.array([[8, 8, 8], [-8, -8, -8]], np.int64)).tolist() == [
        [4, 2, 1],
        [-4, -2, -1],
    ]


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 1), (-0.5, -1), (1.49, 1), (-1.49, -1), (2.5, 3), (-2.5, -3)]
)
def test_halves_go_away_from_zero(value: float, expected: int) -> None:
    assert round_away(value) == expected
