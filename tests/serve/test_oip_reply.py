"""Replies of the Open Inference Protocol, put together from arrays."""

import json
from typing import Any, cast

import numpy as np
import pytest
from tritonclient.http import InferResult

from littoral.bundle.manifest import Tensor
from littoral.model.backends import Array
from littoral_serve.http.messages import Response
from littoral_serve.protocols import oip_reply, oip_request
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.running.signatures import signatures

IN = (Tensor(name="x", shape=(1, 1), dtype="float32"),)
LABELS = ("cat", "", "dög")


def reply(
    *arrays: Array, batch: int | None = 1, outputs: Any = None, **asked: Any
) -> tuple[Response, InferResult]:
    """Return what a client gets to see of a model that answers ``arrays``."""
    specs = tuple(
        Tensor(name=f"y{n}", shape=array.shape, dtype=cast("Any", array.dtype.name))
        for n, array in enumerate(arrays)
    )
    face = Face("m", 3, signatures(IN, specs), batch, LABELS)
    one = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}
    head = {"inputs": [one], **asked} | ({"outputs": outputs} if outputs else {})
    request = oip_request.read(face, json.dumps(head).encode(), None)
    first, response = (oip_reply.write(face, request, arrays) for _ in range(2))
    assert first == response
    assert request.plan.reply is None or response.body.startswith(request.plan.reply)
    assert request.plan.whole == (request.plan.reply is not None)  # it is kept
    length = response.headers.decode().partition(": ")[2].strip() or None
    return response, InferResult.from_response_body(response.body, header_length=length)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int32", "int64", "float16"])
@pytest.mark.parametrize("binary", [True, False])
def test_each_type_comes_as_it_is(dtype: str, *, binary: bool) -> None:
    array = np.array([[0, 1, 100]]).astype(dtype)
    asked = {"binary_data_output": binary, "signature_name": "raw"}
    _, got = reply(array, parameters=asked)
    assert np.array_equal(got.as_numpy("y0"), array)
    assert got.as_numpy("y0").dtype == array.dtype


def test_a_scalar_is_a_tensor_without_dimensions() -> None:
    _, got = reply(np.array(7, np.int32), batch=None, parameters={"binary_data_output": True})
    assert (got.get_output("y0")["shape"], got.as_numpy("y0").item()) == ([], 7)


def test_an_output_may_differ_from_what_is_asked_for_all() -> None:
    arrays = np.ones((1, 2), np.float32), np.zeros((1, 3), np.float32)
    asks = [{"name": "y1"}, {"name": "y0", "parameters": {"binary_data": False}}]
    response, got = reply(*arrays, outputs=asks, parameters={"binary_data_output": True})
    assert response.kind == b"application/octet-stream"
    assert ["data" in one for one in got.get_response()["outputs"]] == [False, True]
    assert np.array_equal(got.as_numpy("y0"), arrays[0])
    assert np.array_equal(got.as_numpy("y1"), arrays[1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_no_null(value: float) -> None:
    response, got = reply(np.array([[1, value]], np.float32))
    assert b"null" not in response.body
    assert np.array_equal(got.as_numpy("y0"), np.array([[1, value]], np.float32), equal_nan=True)


def classes(array: Array, most: int, batch: int | None = 1) -> tuple[list[int], list[str]]:
    asks = [{"name": "y0", "parameters": {"classification": most}}]
    _, got = reply(array, batch=batch, outputs=asks)
    (output,) = got.get_response()["outputs"]
    assert output["datatype"] == "BYTES"
    return output["shape"], output["data"]


def test_classes_are_told_by_name_where_they_have_one() -> None:
    scores = np.array([[0.25, 0.5, 0.125, 0.0625]], np.float32)
    assert classes(scores, 9) == (
        [1, 4],
        ["0.500000:1", "0.250000:0:cat", "0.125000:2:dög", "0.062500:3"],
    )


def test_the_least_of_a_type_comes_last_and_equals_as_they_stand() -> None:
    assert classes(np.array([[-128, 127, 0, 127]], np.int8), 4)[1] == [
        "127:1",
        "127:3",
        "0:2:dög",
        "-128:0:cat",
    ]


def test_each_instance_has_its_classes() -> None:
    scores = np.array([[1, 2, 3], [3, 2, 1]], np.int32)
    assert classes(scores, 1) == ([2, 1], ["3:2:dög", "3:0:cat"])
    assert classes(scores, 1, batch=None) == ([1], ["3:2:dög"])


def test_classes_may_come_in_binary() -> None:
    asks = [{"name": "y0", "parameters": {"classification": 2, "binary_data": True}}]
    response, got = reply(np.array([[1, 0, 2]], np.int32), outputs=asks)
    assert got.as_numpy("y0").tolist() == [["2:2:dög".encode(), b"1:0:cat"]]
    assert response.body.endswith(b"\x07\x00\x00\x001:0:cat")
