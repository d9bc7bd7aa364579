"""Inference by the Open Inference Protocol that is refused, in Triton's words."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from simulators.infers import asked, post
from simulators.served import (
    Serve,
    images,
    named,
    serving,
)


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving(*named("tiny_int8", "tiny_float", "two_int8", "picky")) as running:
        yield running


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "failed to parse the request JSON buffer"),
        (b"[]", "expected an object"),
        (b'{"inputs":[1]}', "Unable to parse 'inputs'"),
        (b"{}", "Unable to parse 'inputs'"),
        ({"inputs": []}, "expected 1 inputs but got 0 inputs for model 'tiny-int8'"),
        (asked(images(1), name="img"), "unexpected inference input 'img' for model 'tiny-int8'"),
        (asked(images(1), datatype="FP64"), "data-type is 'FP64', but model 'tiny-int8' expects"),
        (asked(images(1), datatype=None), "Unable to parse 'datatype'"),
        (asked(images(1), shape=[1, 64]), "Expected [-1,8,8,1], got [1,64]"),
        (asked(images(1), shape=[2, 8, 8, 1]), "expected 128 for shape [2,8,8,1], got 64"),
        (asked(images(1), shape=[0, 8, 8, 1]), "Expected [-1,8,8,1], got [0,8,8,1]"),
        (asked(images(1), shape=[-1, 8, 8, 1]), "Unable to parse 'shape'"),
        (asked(images(1), data=None), "But no field is set"),
        (asked(images(1), data="x"), "Unable to parse 'data'"),
        (asked(images(1), data=0), "Unable to parse 'data'"),
        (asked(images(1), data=["1"] * 64), "a value is not of FP32"),
        (asked(images(1), parameters={"binary_data_size": 256}), "set 'data' 'binary_data_size'"),
        (asked(images(1), data=None, parameters={"shared_memory_region": "x"}), "shared memory"),
        ({**asked(images(1)), "outputs": [{"name": "o"}]}, "unexpected inference output 'o'"),
        ({**asked(images(1)), "id": 7}, "Unable to parse 'id'"),
        ({**asked(images(1)), "parameters": {"timeout": "1"}}, "Unable to parse 'timeout'"),
        ({**asked(images(1)), "parameters": {"signature_name": "s"}}, "signature 's' not found"),
        (asked(np.full((1, 8, 8, 1), np.nan, np.float32)), "NaN cannot be stored as int8"),
        (b'{"inputs":' + b"[" * 100_000, "failed to parse the request JSON buffer"),
    ],
)
def test_a_mistake_is_told_in_tritons_words(serve: Serve, body: Any, words: str) -> None:
    reply = post(serve, body)
    assert reply.status_code == 400
    assert reply.headers["Content-Type"] == "application/json"
    assert list(reply.json()) == ["error"]
    assert words in reply.json()["error"]


@pytest.mark.parametrize(
    ("length", "rest", "words"),
    [
        ("x", b"", "inference header size should be in range"),
        ("-1", b"", "inference header size should be in range"),
        ("9" * 30, b"", "inference header size should be in range"),
        (None, b"\0" * 255, "expecting 1 additional bytes"),
        (None, b"\0" * 257, "unexpected additional input data"),
        ("0", b"\0" * 255, "input byte size mismatch"),
    ],
)
def test_a_body_of_another_length_is_refused(
    serve: Serve, length: str | None, rest: bytes, words: str
) -> None:
    parameters = {"binary_data_size": 256}
    head = json.dumps(asked(images(1), data=None, parameters=parameters)).encode()
    body = rest if length == "0" else head + rest
    headers = {"Inference-Header-Content-Length": length or str(len(head))}
    reply = post(serve, body, headers=headers)
    assert reply.status_code == 400
    assert words in reply.json()["error"]


def test_a_failure_of_the_model_is_not_the_clients(serve: Serve) -> None:
    rows = {"name": "rows", "shape": [2], "datatype": "INT32", "data": [9, 9]}
    reply = post(serve, {"inputs": [rows]}, "models/picky/infer")
    assert reply.status_code == 500
    assert "the model failed" in reply.json()["error"]
