"""The border between real and stored values."""

import warnings

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.model import tensors

INT8 = Tensor(name="x", shape=(5,), dtype="int8", scale=0.5, zero_point=3)
UINT8 = Tensor(name="x", shape=(5,), dtype="uint8", scale=0.5, zero_point=128)
PLAIN = Tensor(name="x", shape=(5,), dtype="float32")


def test_halves_are_rounded_to_even() -> None:
    real = np.array([0.25, 0.75, 1.25, -0.25, -0.75], np.float32)  # 0.5, 1.5, 2.5, -0.5, -1.5 steps
    assert tensors.quantize(real, INT8).tolist() == [3, 5, 5, 3, 1]


def test_what_lies_beyond_the_range_becomes_its_end() -> None:
    real = [1e30, -1e30, np.inf, -np.inf, 0.0]
    assert tensors.quantize(real, INT8).tolist() == [127, -128, 127, -128, 3]
    assert tensors.quantize(real, UINT8).tolist() == [255, 0, 255, 0, 128]


def test_nan_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="x: NaN cannot be stored as int8"):
        tensors.quantize([0.0, float("nan"), 0.0, 0.0, 0.0], INT8)


def test_every_stored_value_survives_the_way_there_and_back() -> None:
    for spec in (INT8, UINT8):
        limits = np.iinfo(spec.dtype)
        stored = np.arange(limits.min, limits.max + 1).astype(spec.dtype)
        assert np.array_equal(tensors.quantize(tensors.dequantize(stored, spec), spec), stored)


def test_doubles_and_lists_are_read_as_float32_first() -> None:
    rng = np.random.default_rng(0)
    spec = Tensor(name="x", shape=(1000,), dtype="int8", scale=0.5847029089927673, zero_point=83)
    double = rng.normal(scale=30, size=1000)
    expected = tensors.quantize(double.astype(np.float32), spec)
    assert np.array_equal(tensors.quantize(double, spec), expected)
    assert np.array_equal(tensors.quantize(double.tolist(), spec), expected)


def test_quantizing_leaves_the_callers_array_alone_and_warns_of_nothing() -> None:
    real = np.full(5, 1e38, np.float32)
    tiny = Tensor(name="x", shape=(5,), dtype="int8", scale=1e-20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tensors.quantize(real, tiny).tolist() == [127] * 5
    assert real.tolist() == [np.float32(1e38)] * 5


def test_an_unquantized_tensor_passes_as_it_is() -> None:
    real = np.array([1.5, np.nan], np.float32)
    assert np.array_equal(tensors.quantize(real, PLAIN), real, equal_nan=True)
    assert np.array_equal(tensors.dequantize(real, PLAIN), real, equal_nan=True)


def test_a_wrong_shape_is_told_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"x: expected int8 \[5\], found int8 \[4\]"):
        tensors.check(np.zeros(4, np.int8), INT8)
    with pytest.raises(ValueError, match="expected 2 tensors, found 1"):
        tensors.check_all([np.zeros(5, np.int8)], [INT8, INT8])


def test_a_single_number_has_a_shape_of_its_own() -> None:
    stored = tensors.quantize(1.0, Tensor(name="x", shape=(), dtype="int8", scale=0.5))
    assert (stored.shape, stored.dtype.name, int(stored)) == ((), "int8", 2)
