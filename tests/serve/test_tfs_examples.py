"""Classify and regress, over HTTP, asked as TensorFlow Serving's users ask."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from littoral.model import tensors
from simulators.served import Serve, expected, images, named, serving, tiny


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving(*named("tiny_int8", "tiny_float", "two_int8", "slope_float")) as running:
        yield running


def post(serve: Serve, path: str, body: Any) -> requests.Response:
    return requests.post(f"{serve.url}/v1/models/{path}", data=json.dumps(body), timeout=20)


def flat(x: Any) -> list[dict[str, Any]]:
    return [{"image": one.ravel().tolist()} for one in x]


def test_examples_are_classified_with_all_classes_in_the_models_order(serve: Serve) -> None:
    x = images(3)
    response = post(serve, "tiny-int8:classify", {"examples": flat(x)})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    results = response.json()["results"]
    assert [[label for label, _ in one] for one in results] == [
        list("0123456789")[: len(one)] for one in results
    ]
    assert np.array_equal(
        np.array([[s for _, s in one] for one in results], np.float32), expected(x)
    )


def test_context_is_what_all_examples_have(serve: Serve) -> None:
    (x,) = images(1)
    body = {"context": {"image": x.ravel().tolist()}, "examples": [{}, {"other": 1.0}]}
    first, second = post(serve, "tiny-int8:classify", body).json()["results"]
    assert (
        first
        == second
        == post(serve, "tiny-int8:classify", {"examples": flat([x])}).json()["results"][0]
    )


def test_bytes_are_an_inputs_elements(serve: Serve) -> None:
    (x,) = images(1)
    coded = {"b64": base64.b64encode(x.astype("<f4").tobytes()).decode()}
    for feature in (coded, [coded]):
        got = post(serve, "tiny-int8:classify", {"examples": [{"image": feature}]}).json()
        assert got == post(serve, "tiny-int8:classify", {"examples": flat([x])}).json()


def test_half_a_character_is_no_fault_of_ours(serve: Serve) -> None:
    """JSON can say it, and UTF-8 cannot."""
    response = post(serve, "tiny-int8:classify", {"examples": [{"image": "\ud800"}]})
    assert response.status_code == 400


def test_whole_numbers_are_taken_for_floats(serve: Serve) -> None:
    ones = [1] * 63 + [0.5]
    mixed = post(serve, "tiny-int8:classify", {"examples": [{"image": ones}]})
    exact = post(serve, "tiny-int8:classify", {"examples": [{"image": [float(v) for v in ones]}]})
    assert mixed.json() == exact.json()
    assert mixed.status_code == 200


def test_the_raw_signature_takes_what_is_stored_and_answers_scores(serve: Serve) -> None:
    (x,) = images(1)
    stored = tensors.quantize(x[None], tiny().inputs[0])
    body = {"signature_name": "raw", "examples": [{"image": stored.ravel().tolist()}]}
    got = post(serve, "tiny-int8:classify", body).json()
    assert got == post(serve, "tiny-int8:classify", {"examples": flat([x])}).json()


def test_a_nan_is_written_as_tensorflow_serving_writes_it(serve: Serve) -> None:
    x = images(1)
    x[0, 0, 0, 0] = np.nan
    response = post(serve, "tiny-float:classify", {"examples": flat(x)})
    assert "NaN" in response.text
    assert response.status_code == 200


def test_examples_are_regressed_to_one_number_each(serve: Serve) -> None:
    examples = [{"x": [4.0, 1.0]}, {"x": [0.0, 2.5]}, {"x": [1, 1]}]
    response = post(serve, "slope-float:regress", {"examples": examples})
    assert response.json() == {"results": [2.0, -1.5, 0.5]}
    shared = {"context": {"x": [2.0, 0.0]}, "examples": [{}]}
    assert post(serve, "slope-float:regress", shared).json() == {"results": [2.0]}
    classes = post(serve, "slope-float:classify", {"examples": examples[:1]})
    assert classes.json() == {"results": [[["0", 2.0]]]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        (
            {"examples": [{}]},
            "Feature: image (data type: float) is required but could not be found",
        ),
        ({"examples": [{"image": []}]}, "is required but could not be found"),
        (
            {"examples": [{"image": [1.0, 2.0]}]},
            "Number of float values != expected.  values size: 2 but output shape: [8,8,1]",
        ),
        ({"examples": [{"image": [1.0, "a"]}]}, "Unexpected element type in feature: image"),
        ({"examples": [{"image": [None]}]}, "has element with unexpected JSON type: Null"),
        ({"examples": [{"image": [[1.0]]}]}, "has element with unexpected JSON type: Array"),
        ({"examples": [{"image": [2**63]}]}, "Only int64_t is supported."),
        ({"examples": [{"image": "no"}]}, "Data types don't match. Data type: string"),
        ({"examples": [{"image": {"b64": "%"}}]}, "Unable to base64 decode"),
        ({"examples": [{}], "signature_name": "x"}, "No signature was found with the name: x"),
        ({"examples": [{}], "signature_name": 1}, "'signature_name' key must be a string value."),
        ([], "Is not object"),
        (
            {"signature_name": "raw", "examples": [{"image": [1.5] * 64}]},
            "Data types don't match. Data type: float but expected type: int64",
        ),
        (
            {"signature_name": "raw", "examples": [{"image": [300] * 64}]},
            "A value does not fit in int8",
        ),
    ],
)
def test_what_is_wrong_with_examples_is_said(serve: Serve, body: Any, words: str) -> None:
    response = post(serve, "tiny-int8:classify", body)
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_a_model_that_gives_no_such_outputs_says_so(serve: Serve) -> None:
    x = {"examples": flat(images(1))}
    response = post(serve, "tiny-int8:regress", x)
    assert response.status_code == 400
    assert (
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1]"
        in (response.json()["error"])
    )
    response = post(serve, "two-int8:classify", x)
    assert 'Expected one output Tensor, or one named "scores", found 2' in response.json()["error"]


def test_an_unknown_model_is_not_found(serve: Serve) -> None:
    response = post(serve, "none:classify", {"examples": [{}]})
    assert response.status_code == 404
    assert response.json() == {"error": "Servable not found for request: Latest(none)"}
    assert post(serve, "tiny-int8/versions/7:classify", {}).status_code == 404
