"""TensorFlow's TensorProto: each type comes and leaves as it is, and no value is made to fit."""

from typing import Any, cast

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral_serve.protocols.rpc import tensor_protos
from littoral_serve.protocols.rpc.decoding import decode
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.tensorflow_messages import TENSOR
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import View

LIMITS: dict[str, tuple[float, float]] = {
    "bool": (0, 1),
    "int8": (-(2**7), 2**7 - 1),
    "uint8": (0, 2**8 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "float16": (-65504.0, 2.0**-24),
    "float32": (-3.0e38, 2.0**-149),
}


def view(dtype: str) -> View:
    return View(Tensor(name="x", shape=(1, 2), dtype=cast("Any", dtype)), real=False)


def read(proto: dict[str, Any], dtype: str) -> Array:
    """Return what is read of ``proto`` after it went over the wire."""
    return tensor_protos.read(decode(TENSOR, encode(TENSOR, proto)), view(dtype))


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("content", [True, False])
def test_each_type_comes_as_it_leaves(dtype: str, *, content: bool) -> None:
    array = np.array([LIMITS[dtype]] * 2, dtype)
    proto = tensor_protos.write(array)
    if content:
        del proto[tensor_protos.FIELDS[dtype]]
        proto["tensor_content"] = array
    found = read(proto, dtype)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_a_value_that_does_not_fit_is_refused(dtype: str) -> None:
    for value in (LIMITS[dtype][0] - 1, LIMITS[dtype][1] + 1):
        proto = tensor_protos.write(np.zeros((1, 2), dtype))
        proto["int_val"] = np.array([0, value], np.int32)
        with pytest.raises(InvalidArgumentError, match=f"a value does not fit in {dtype}"):
            read(proto, dtype)


def test_any_byte_but_zero_is_true_and_one() -> None:
    proto = tensor_protos.write(np.zeros((1, 2), bool))
    proto["tensor_content"] = b"\x02\x00"
    assert read(proto, "bool").view(np.uint8).tolist() == [[1, 0]]


def test_the_last_value_stands_for_those_that_are_missing_and_none_for_zeros() -> None:
    proto = tensor_protos.write(np.zeros((1, 4), np.float32))
    proto["float_val"] = np.array([1, 2], np.float32)
    assert read(proto, "float32").tolist() == [[1, 2, 2, 2]]
    proto["float_val"] = np.array([], np.float32)
    assert read(proto, "float32").tolist() == [[0, 0, 0, 0]]


def test_few_bytes_do_not_come_to_any_amount_of_memory() -> None:
    proto = tensor_protos.write(np.ones((1, 1), np.float32))
    proto["tensor_shape"] = tensor_protos.shape_of((1, 2**21))
    assert read(proto, "float32").size == 2**21
    for shape in ((1, 2**21 + 1), (2**40, 2**40)):
        proto["tensor_shape"] = tensor_protos.shape_of(shape)
        with pytest.raises(InvalidArgumentError, match=r"found 1$"):
            read(proto, "float32")


def test_a_shape_that_is_not_known_is_refused() -> None:
    proto = tensor_protos.write(np.ones((1, 2), np.float32))
    for shape in ({"unknown_rank": True}, tensor_protos.shape_of((-1, 2))):
        with pytest.raises(InvalidArgumentError, match="its shape is not known"):
            read(proto | {"tensor_shape": shape}, "float32")
