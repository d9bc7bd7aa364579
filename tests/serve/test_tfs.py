"""TensorFlow Serving's REST interface, asked by a client that its users have."""

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from littoral.model.backends import open_session
from simulators.served import (
    FIXTURES,
    Serve,
    computed_s,
    expected,
    images,
    model,
    named,
    noise,
    serving,
    tiny,
)


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving(*named("tiny_int8", "tiny_float", "two_int8")) as running:
        yield running


def post(serve: Serve, path: str, body: Any) -> requests.Response:
    return requests.post(f"{serve.url}/v1/models/{path}", json=body, timeout=20)


def error(serve: Serve, path: str, body: Any) -> str:
    response = post(serve, path, body)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/json"
    return str(response.json()["error"])


def test_rows_come_back_as_rows_equal_to_the_runtime_to_the_last_element(serve: Serve) -> None:
    x = images(300)
    response = post(serve, "tiny-int8:predict", {"instances": x.tolist()})
    assert response.status_code == 200
    assert list(response.json()) == ["predictions"]
    got = np.array(response.json()["predictions"], np.float32)
    assert np.array_equal(got, expected(x))


def test_a_column_comes_back_as_a_column(serve: Serve) -> None:
    x = images(3)
    for column in (x.tolist(), {"image": x.tolist()}):
        reply = post(serve, "tiny-int8:predict", {"inputs": column}).json()
        assert list(reply) == ["outputs"]
        assert np.array_equal(np.array(reply["outputs"], np.float32), expected(x))


def test_instances_may_name_their_input(serve: Serve) -> None:
    x = images(2)
    named = [{"image": one.tolist()} for one in x]
    got = post(serve, "tiny-int8:predict", {"instances": named}).json()["predictions"]
    assert np.array_equal(np.array(got, np.float32), expected(x))


@pytest.mark.parametrize("indent", [None, 1])
def test_spaces_numbers_and_key_order_are_as_json_allows(serve: Serve, indent: int | None) -> None:
    x = np.round(images(2) * 3)
    document = {"instances": x.astype(int).tolist(), "signature_name": "serving_default"}
    data = json.dumps(document, indent=indent)
    response = requests.post(
        f"{serve.url}/v1/models/tiny-int8:predict", data=data.replace("1,", "1e0 ,"), timeout=20
    )
    got = np.array(response.json()["predictions"], np.float32)
    assert np.array_equal(got, expected(x))


def test_the_raw_signature_shows_what_is_stored(serve: Serve) -> None:
    (stored,) = noise(tiny().inputs, 1)[0]
    body = {"signature_name": "raw", "instances": stored.tolist()}
    got = post(serve, "tiny-int8:predict", body).json()["predictions"]
    assert got == tiny().run(stored)[0].tolist()
    assert all(isinstance(value, int) for value in got[0])


def test_the_float_signature_shows_reals(serve: Serve) -> None:
    body = {"signature_name": "float", "instances": images(1).tolist()}
    got = post(serve, "tiny-int8:predict", body).json()["predictions"]
    assert np.array_equal(np.array(got, np.float32), expected(images(1)))


def test_several_inputs_and_outputs_go_by_name(serve: Serve) -> None:
    pair = open_session("litert", model("two_int8"))
    rows = [tuple(value[0] for value in sample) for sample in noise(pair.inputs, 3)]
    instances = [{"left": a.tolist(), "right": b.tolist()} for a, b in rows]
    by_row = post(serve, "two-int8:predict", {"instances": instances}).json()["predictions"]
    columns = {
        "left": [a.tolist() for a, _ in rows],
        "right": [b.tolist() for _, b in rows],
    }
    by_column = post(serve, "two-int8:predict", {"inputs": columns}).json()["outputs"]
    for k, (a, b) in enumerate(rows):
        names = [spec.name for spec in pair.outputs]
        for name, value in zip(names, pair.run(a[None], b[None]), strict=True):
            assert np.array_equal(np.array(by_row[k][name], np.float32), value[0])
            assert by_column[name][k] == by_row[k][name]


def test_nan_and_infinity_are_read_and_written(serve: Serve) -> None:
    x = images(1).tolist()
    x[0][0][0][0] = math.nan
    response = requests.post(
        f"{serve.url}/v1/models/tiny-float:predict", data=json.dumps({"instances": x}), timeout=20
    )
    assert "NaN" in response.text
    assert any(math.isnan(value) for value in response.json()["predictions"][0])


def test_nan_in_a_quantized_input_is_the_clients_mistake(serve: Serve) -> None:
    x = images(1).tolist()
    x[0][0][0][0] = math.nan
    response = requests.post(
        f"{serve.url}/v1/models/tiny-int8:predict", data=json.dumps({"instances": x}), timeout=20
    )
    assert response.status_code == 400
    assert response.json() == {"error": "image: NaN cannot be stored as int8"}


def test_infinity_becomes_the_end_of_the_range(serve: Serve) -> None:
    x = images(1).tolist()
    x[0][0][0][0] = math.inf
    most = images(1).tolist()
    most[0][0][0][0] = 1e300
    replies = [
        requests.post(
            f"{serve.url}/v1/models/tiny-int8:predict",
            data=json.dumps({"instances": one}),
            timeout=20,
        ).json()
        for one in (x, most)
    ]
    assert replies[0] == replies[1]
    assert "predictions" in replies[0]


def test_base64_holds_little_endian_elements(serve: Serve) -> None:
    x = images(2)
    plain = post(serve, "tiny-int8:predict", {"instances": x.tolist()}).json()
    coded = [{"b64": base64.b64encode(one.astype("<f4").tobytes()).decode()} for one in x]
    assert post(serve, "tiny-int8:predict", {"instances": coded}).json() == plain
    whole = {"b64": base64.b64encode(x.astype("<f4").tobytes()).decode()}
    assert (
        post(serve, "tiny-int8:predict", {"inputs": whole}).json()["outputs"]
        == (plain["predictions"])
    )
    short = {"b64": base64.b64encode(b"1234").decode()}
    assert "found 4 bytes" in error(serve, "tiny-int8:predict", {"instances": [short]})
    assert "Unable to base64 decode" in error(
        serve, "tiny-int8:predict", {"instances": [{"b64": "%"}]}
    )


def test_a_model_that_fails_is_the_servers_fault() -> None:
    with serving(f"--model=picky={FIXTURES}/picky.tflite") as serve:
        fine = post(serve, "picky:predict", {"inputs": [2, 0]})
        assert (fine.status_code, fine.json()) == (200, {"outputs": [[5.0, 6.0], [1.0, 2.0]]})
        response = post(serve, "picky:predict", {"inputs": [2, 7]})
        assert response.status_code == 500
        assert "gather index out of bounds" in response.json()["error"]
        assert post(serve, "picky:predict", {"inputs": [2, 0]}).status_code == 200


ONE = [[[0.0]] * 8] * 8


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        (
            {"instances": [ONE], "inputs": [ONE]},
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        ([1, 2], "JSON Value: [1, 2] Is not object"),
        ({"signature_name": 3, "instances": [ONE]}, "'signature_name' key must be a string value."),
        (
            {"signature_name": "x", "instances": [ONE]},
            'Serving signature name: "x" not found in signature def',
        ),
        (
            {"instances": [[[["x"]] * 8] * 8]},
            'Error: INVALID_ARGUMENT: JSON Value: "x" Type: String is not of expected type: float',
        ),
        ({"instances": [[[[True]] * 8] * 8]}, "Type: True is not of expected type: float"),
        ({"instances": [[[[None]] * 8] * 8]}, "Type: Null is not of expected type: float"),
        (
            {"instances": [[[[0.0]] * 8] * 7 + [[[0.0]] * 7]]},
            "Encountered list at unexpected size: 7 at level: 1 expected size: 8",
        ),
        (
            {"instances": [ONE, [[[0.0]] * 8] * 7]},
            "Expecting tensor size: 64 but got: 56",
        ),
        (
            {"instances": [ONE, [[[0.0]] * 4] * 16]},
            "Expecting shape [8,8,1] but got: [16,4,1]",
        ),
        ({"instances": [[[0.0, [1.0]]]]}, "Encountered list at unexpected level: 2 expected < 2"),
        ({"instances": [[[[0.0], 1.0]]]}, "found at incorrect level: 3 in the JSON DOM"),
        ({"instances": [{"picture": ONE}]}, "JSON object: does not have named input: picture"),
        ({"instances": [{"image": ONE}, ONE]}, "Expecting object but got list at item 1"),
        ({"instances": [ONE, {"image": ONE}]}, "Expecting value/list but got object at item 1"),
        ({"inputs": {"picture": [ONE]}}, "Missing named input: image in 'inputs' object."),
        ({"instances": [[1.0, 2.0]]}, "input image: Expecting shape [1,8,8,1] but got: [1,2]"),
        ({"inputs": 3.5}, "input image: Expecting shape [1,8,8,1] but got: []"),
        ({"inputs": [[1], [2]]}, "input image: Expecting shape [2,8,8,1] but got: [2,1]"),
        ({"instances": "half a character: \ud800"}, "Expecting 'instances' to be an list/array"),
        ({"instances": [{"\ud800": 1}]}, "does not have named input: "),
        (
            {"signature_name": "raw", "instances": [[[[0.5]] * 8] * 8]},
            "JSON Value: 0.5 Type: Number is not of expected type: int8",
        ),
        (
            {"signature_name": "raw", "instances": [[[[128]] * 8] * 8]},
            "JSON Value: 128 Type: Number is not of expected type: int8",
        ),
    ],
)
def test_a_mistake_is_told_in_the_protocols_words(serve: Serve, body: Any, words: str) -> None:
    assert words in error(serve, "tiny-int8:predict", body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instances": [[0.0] * 4]}, "instances is a plain list, but expecting list of objects"),
        ({"inputs": [[0.0] * 4]}, "inputs is a plain value/list, but expecting an object"),
        ({"instances": [{"left": [0.0] * 4}]}, "keys must be equal to: left,right"),
        (
            {"inputs": {"left": [[0.0] * 4] * 2, "right": [[0.0] * 3]}},
            "input right: Expecting shape [2,3] but got: [1,3]",
        ),
    ],
)
def test_so_is_one_about_several_inputs(serve: Serve, body: Any, words: str) -> None:
    assert words in error(serve, "two-int8:predict", body)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"what", "JSON Parse error: Invalid value. at offset: 0"),
        (b'{"instances": [1, }', "JSON Parse error: Invalid value. at offset: 18"),
        (b'{"a" 1}', "JSON Parse error: Missing a colon after a name of object member."),
        (b"{1: 2}", "JSON Parse error: Missing a name for object member."),
        (b'{"instances": [[1]2]}', "JSON Parse error: Missing a comma"),
        (b"\xff\xfe", "JSON Parse error: Invalid"),
        (b"[" * 100_000, "JSON Parse error:"),
        (b'{"instances": ' + b"[" * 900 + b"]" * 900 + b"}", "lists are nested 899 deep"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(serve: Serve, data: bytes, words: str) -> None:
    response = requests.post(f"{serve.url}/v1/models/tiny-int8:predict", data=data, timeout=20)
    assert response.status_code == 400
    assert words in response.json()["error"]


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_a_million_wrong_rows_are_refused_by_the_first(serve: Serve, key: str) -> None:
    """All other clients waited half a minute for the one whose 16 MiB had the wrong shape."""
    body = f'{{"{key}": [{"[1]," * 1_000_000}[1]]}}'
    before = computed_s(serve)
    response = requests.post(f"{serve.url}/v1/models/tiny-int8:predict", data=body, timeout=60)
    assert computed_s(serve) - before < 2
    assert "Expecting shape [1000001,8,8,1] but got: [1000001,1]" in response.json()["error"]


def test_an_error_is_laid_out_as_there(serve: Serve) -> None:
    response = post(serve, "nothing:predict", {"instances": [1]})
    assert response.text == ('{\n    "error": "Servable not found for request: Latest(nothing)"\n}')


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nothing:predict", "Servable not found for request: Latest(nothing)"),
        ("tiny-int8/versions/3:predict", "Servable not found for request: Specific(tiny-int8, 3)"),
    ],
)
def test_predicting_with_what_is_not_there(serve: Serve, path: str, words: str) -> None:
    response = post(serve, path, {"instances": [ONE]})
    assert (response.status_code, response.json()) == (404, {"error": words})


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, "Could not find any versions of model nothing"),
        ("/tiny-int8/versions/3", 404, "Could not find version 3 of model tiny-int8"),
        ("/nothing/metadata", 404, "Servable not found for request: Latest(nothing)"),
        ("/tiny-int8/labels/x", 400, "Unrecognized servable version label: x"),
        ("", 400, "Missing model name in request."),
        ("/metadata/x/y", 400, "Malformed request: GET /v1/models/metadata/x/y"),
        (f"/m/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
        (f"/m/versions/{'9' * 5000}", 400, f"Failed to convert version: {'9' * 5000} to numeric."),
    ],
)
def test_asking_about_what_is_not_there(serve: Serve, path: str, status: int, words: str) -> None:
    response = requests.get(f"{serve.url}/v1/models{path}", timeout=20)
    assert (response.status_code, response.json()) == (status, {"error": words})


def test_paths_are_matched_in_any_case_and_decoded(serve: Serve) -> None:
    for path in ("/V1/Models/tiny-int8", "/v1/models/tiny%2Dint8/versions/1?x=y"):
        assert requests.get(serve.url + path, timeout=20).status_code == 200
    body = {"instances": [ONE]}
    url = f"{serve.url}/v1/models/tiny%2Dint8/labels/1:predict"
    assert requests.post(url, json=body, timeout=20).status_code == 200


def test_other_methods_and_paths_are_refused(serve: Serve) -> None:
    response = requests.put(f"{serve.url}/v1/models/tiny-int8:predict", json={}, timeout=20)
    assert (response.status_code, response.json()["error"]) == (
        400,
        "Malformed request: PUT /v1/models/tiny-int8:predict",
    )
    response = requests.get(f"{serve.url}/control/state", timeout=20)
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})


def test_status_says_available(serve: Serve) -> None:
    reply = requests.get(f"{serve.url}/v1/models/tiny-int8", timeout=20).json()
    one = {
        "version": "1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert reply == {"model_version_status": [one]}


def test_metadata_lists_signatures_and_shapes(serve: Serve) -> None:
    reply = requests.get(f"{serve.url}/v1/models/tiny-int8/metadata", timeout=20).json()
    assert reply["model_spec"] == {"name": "tiny-int8", "signature_name": "", "version": "1"}
    found = reply["metadata"]["signature_def"]["signature_def"]
    assert sorted(found) == ["float", "image", "raw", "serving_default"]
    usual = found["serving_default"]
    assert usual["method_name"] == "tensorflow/serving/predict"
    image = usual["inputs"]["image"]
    assert image["dtype"] == "DT_FLOAT"
    sizes = [dim["size"] for dim in image["tensor_shape"]["dim"]]
    assert sizes == ["-1", "8", "8", "1"], "any number of instances may come"
    assert found["raw"]["inputs"]["image"]["dtype"] == "DT_INT8"


def test_a_uint8_picture_is_taken_as_it_is() -> None:
    path = Path(__file__).parents[3] / "shared/models/coral/mobilenet_v1_0.25_128_quant.tflite"
    if not path.is_file():
        pytest.skip("no MobileNet on this machine")
    with serving(f"--model=mobilenet={path}") as serve:
        session = open_session("litert", path.read_bytes())
        x = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
        reply = post(serve, "mobilenet:predict", {"instances": x.tolist()}).json()["predictions"]
        assert np.array_equal(np.array(reply), [session.run(one[None])[0][0] for one in x])
        x = x[:1].tolist()
        x[0][5][5][1] = 256
        assert "256 Type: Number is not of expected type: uint8" in error(
            serve, "mobilenet:predict", {"instances": x}
        )
