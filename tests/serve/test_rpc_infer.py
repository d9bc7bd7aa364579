"""ModelInfer's tensors: each type comes by value and as bytes, and leaves as bytes."""

from typing import Any, cast

import numpy as np
import pytest

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral.wire.datatypes import DATATYPES
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.protocols.rpc import infer
from littoral_serve.protocols.rpc import inference_messages as messages
from littoral_serve.protocols.rpc.decoding import decode
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import signatures

CONTENTS = {
    "bool": "bool_contents",
    "int8": "int_contents",
    "uint8": "uint_contents",
    "int16": "int_contents",
    "int32": "int_contents",
    "int64": "int64_contents",
    "float32": "fp32_contents",
}


def face(dtype: str) -> Face:
    (one,) = (Tensor(name="x", shape=(1, 2), dtype=cast("Any", dtype)),)
    return Face("m", 3, signatures((one,), (one,)), 8)


def asked(dtype: str, array: Array, **more: Any) -> dict[str, Any]:
    tensor = {"name": "x", "datatype": DATATYPES[dtype], "shape": list(array.shape)}
    return {"model_name": "m", "inputs": [tensor], **more}


def read(dtype: str, request: dict[str, Any]) -> Array:
    """Return the one array that is read of ``request`` after it went over the wire."""
    sent = encode(messages.MODEL_INFER_REQUEST, request)
    _, (array,) = infer.read(face(dtype), decode(messages.MODEL_INFER_REQUEST, sent))
    return array


def values(dtype: str) -> Array:
    return np.array([[0, 1], [100, 1]]).astype(dtype)


@pytest.mark.parametrize("dtype", DATATYPES)
def test_each_type_comes_as_bytes_and_leaves_as_them(dtype: str) -> None:
    array = values(dtype)
    request = asked(dtype, array, raw_input_contents=[array], id="seven")
    sent = encode(messages.MODEL_INFER_REQUEST, request)
    plan, (found,) = infer.read(face(dtype), decode(messages.MODEL_INFER_REQUEST, sent))
    assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
    told = decode(messages.MODEL_INFER_RESPONSE, infer.encoded(face(dtype), plan, [found]))
    assert (told["model_name"], told["model_version"], told["id"]) == ("m", "3", "seven")
    (output,) = told["outputs"]
    assert (output["name"], output["datatype"]) == ("x", DATATYPES[dtype])
    assert list(output["shape"]) == [2, 2]
    assert [bytes(one) for one in told["raw_output_contents"]] == [array.tobytes()]


@pytest.mark.parametrize("dtype", CONTENTS)
def test_each_type_but_half_comes_by_value(dtype: str) -> None:
    array = values(dtype)
    request = asked(dtype, array)
    request["inputs"][0]["contents"] = {CONTENTS[dtype]: array.ravel()}
    found = read(dtype, request)
    assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
    request["inputs"][0]["contents"]["fp64_contents"] = array.ravel().astype(np.float64)
    with pytest.raises(InvalidArgumentError, match=f"fp64_contents, expected {CONTENTS[dtype]}"):
        read(dtype, request)


def test_half_has_no_values_and_says_what_is_expected() -> None:
    request = asked("float16", values("float16"))
    request["inputs"][0]["contents"] = {"fp32_contents": np.ones(4, np.float32)}
    with pytest.raises(InvalidArgumentError, match="expected raw_input_contents for"):
        read("float16", request)


@pytest.mark.parametrize(
    ("dtype", "value"), [("int8", 128), ("int8", -129), ("uint8", 256), ("int16", 2**15)]
)
def test_a_value_that_does_not_fit_is_refused(dtype: str, value: int) -> None:
    request = asked(dtype, values(dtype))
    kind = np.uint32 if dtype == "uint8" else np.int32
    request["inputs"][0]["contents"] = {CONTENTS[dtype]: np.array([0, 0, 0, value], kind)}
    with pytest.raises(InvalidArgumentError, match="a value of input 'x' is not of datatype"):
        read(dtype, request)


def test_any_byte_but_zero_is_true_and_one() -> None:
    request = asked("bool", np.zeros((1, 2), bool), raw_input_contents=[b"\x02\x00"])
    assert read("bool", request).view(np.uint8).tolist() == [[1, 0]]
