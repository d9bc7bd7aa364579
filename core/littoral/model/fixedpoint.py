"""TFLite's fixed-point arithmetic, to the bit: how an accumulator becomes a stored integer.

A real factor is kept as an integer of 31 bits and a power of two. Most of TFLite's reference
kernels round a product twice, first to the high word, then by the shift; FULLY_CONNECTED once.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_BITS: Final = 31


@dataclass(frozen=True, slots=True)
class Multiplier:
    """``mantissa * 2^(shift - 31)``, one for all or one a channel (the last axis)."""

    mantissa: Ints
    shift: Ints

    @classmethod
    def of(cls, real: NDArray[np.float64] | float) -> "Multiplier":
        pairs = [_split(float(x)) for x in np.atleast_1d(real)]
        mantissas, shifts = zip(*pairs, strict=True)
        return cls(np.array(mantissas, np.int64), np.array(shifts, np.int64))

    def over(self, count: int) -> "Multiplier":
        """Return this divided by ``count``, as MEAN divides: in the mantissa, rounded down."""
        shift = np.minimum(count.bit_length() - 1, _BITS + self.shift)
        return Multiplier((self.mantissa << shift) // count, self.shift - shift)

    def apply_once(self, values: Ints) -> Ints:
        """Return ``values`` times this, rounded once, halves up."""
        right = _BITS - self.shift
        return (values * self.mantissa + (np.int64(1) << (right - 1))) >> right

    def apply(self, values: Ints) -> Ints:
        """Return ``values`` times this, rounded twice; both fit in 32 bits."""
        left, right = np.maximum(self.shift, 0), np.maximum(-self.shift, 0)
        return _divide_by_power(_high_product(values << left, self.mantissa), right)


def round_away(value: float) -> int:
    """Return ``value`` rounded, halves away from zero, as C's round does."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def _split(real: float) -> tuple[int, int]:
    fraction, exponent = math.frexp(real)
    mantissa = round_away(fraction * (1 << _BITS))
    if mantissa == 1 << _BITS:
        mantissa, exponent = mantissa // 2, exponent + 1
    return (0, 0) if exponent < -_BITS else (mantissa, exponent)


def _high_product(a: Ints, b: Ints) -> Ints:
    product = a * b
    nudge = np.where(product >= 0, 1 << (_BITS - 1), 1 - (1 << (_BITS - 1)))
    total = product + nudge
    # C truncates towards zero, a shift rounds down.
    return np.where(total >= 0, total >> _BITS, -(-total >> _BITS))


def _divide_by_power(value: Ints, exponent: Ints) -> Ints:
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (value < 0)
    quotient: Ints = (value >> exponent) + ((value & mask) > threshold)
    return quotient
