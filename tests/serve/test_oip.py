"""Inference by the Open Inference Protocol over HTTP, asked by Triton's client and by hand."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

from littoral.model import tensors
from littoral.model.backends import open_session
from simulators.infers import asked, post, tensor, wanted
from simulators.served import (
    Serve,
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
    with serving(*named("tiny_int8", "tiny_float", "two_int8", "picky")) as running:
        yield running


@pytest.fixture(scope="module")
def client(serve: Serve) -> Iterator[triton.InferenceServerClient]:
    one = triton.InferenceServerClient(serve.ready["http"])
    yield one
    one.close()


@pytest.mark.parametrize("count", [1, 300])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_answers_equal_the_runtime_to_the_last_element(
    client: triton.InferenceServerClient, *, count: int, binary: bool
) -> None:
    x = images(count)
    got = client.infer(
        "tiny-int8", [tensor(x, binary=binary)], outputs=[wanted(binary_data=binary)]
    )
    assert got.get_output("output_0")["shape"] == [count, 10]
    assert np.array_equal(got.as_numpy("output_0"), expected(x))


def test_all_outputs_come_in_binary_where_triton_asks_for_none(
    client: triton.InferenceServerClient,
) -> None:
    rows = np.ones((2, 4), np.float32), np.ones((2, 3), np.float32)
    got = client.infer("two-int8", [tensor(rows[0], "left"), tensor(rows[1], "right")])
    shapes = {one["name"]: one["shape"] for one in got.get_response()["outputs"]}
    assert shapes == {"many": [2, 5], "few": [2, 2]}
    assert all("binary_data_size" in o["parameters"] for o in got.get_response()["outputs"])


def test_inputs_come_and_outputs_leave_in_the_order_that_the_client_names(
    client: triton.InferenceServerClient,
) -> None:
    pair = open_session("litert", model("two_int8"))
    left, right = noise(pair.inputs, 1)[0]
    many, few = pair.run(left, right)
    for binary in (True, False):
        inputs = [tensor(right, "right", binary=not binary), tensor(left, "left", binary=binary)]
        asks = [wanted("few", binary_data=binary), wanted("many", binary_data=not binary)]
        got = client.infer("two-int8", inputs, outputs=asks)
        assert [one["name"] for one in got.get_response()["outputs"]] == ["few", "many"]
        assert np.array_equal(got.as_numpy("few"), few)
        assert np.array_equal(got.as_numpy("many"), many)


def test_one_output_may_be_asked_for_alone(client: triton.InferenceServerClient) -> None:
    rows = np.ones((1, 4), np.float32), np.ones((1, 3), np.float32)
    inputs = [tensor(rows[0], "left"), tensor(rows[1], "right")]
    got = client.infer("two-int8", inputs, outputs=[wanted("few")])
    assert [one["name"] for one in got.get_response()["outputs"]] == ["few"]
    assert got.as_numpy("many") is None


def test_the_datatype_asked_decides_what_is_seen(client: triton.InferenceServerClient) -> None:
    (stored,) = noise(tiny().inputs, 1)[0]
    got = client.infer("tiny-int8", [tensor(stored, kind="INT8")])
    assert got.get_output("output_0")["datatype"] == "INT8"
    assert np.array_equal(got.as_numpy("output_0"), tiny().run(stored)[0])


def test_outputs_may_be_asked_for_as_a_signature_shows_them(
    client: triton.InferenceServerClient,
) -> None:
    (stored,) = noise(tiny().inputs, 1)[0]
    (made,) = tiny().run(stored)
    real = tensors.dequantize(made, tiny().outputs[0])
    for name, shown in (("float", real), ("serving_default", real), ("raw", made)):
        got = client.infer(
            "tiny-int8", [tensor(stored, kind="INT8")], parameters={"signature_name": name}
        )
        assert np.array_equal(got.as_numpy("output_0"), shown)
        assert got.as_numpy("output_0").dtype == shown.dtype


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "nested"])
def test_json_lists_may_be_flat_or_nested(serve: Serve, *, flat: bool) -> None:
    x = images(3)
    reply = post(serve, asked(x, data=(x.ravel() if flat else x).tolist()))
    assert reply.headers["Content-Type"] == "application/json"
    (output,) = reply.json()["outputs"]
    assert (output["shape"], output["datatype"]) == ([3, 10], "FP32")
    assert np.array_equal(np.array(output["data"], np.float32), expected(x).ravel())


def test_raw_bytes_are_the_one_input(serve: Serve) -> None:
    x = images(2)
    reply = post(serve, x.tobytes(), headers={"Inference-Header-Content-Length": "0"})
    length = int(reply.headers["Inference-Header-Content-Length"])
    assert json.loads(reply.content[:length])["outputs"][0]["shape"] == [2, 10]
    assert reply.content[length:] == expected(x).tobytes()


def test_the_id_comes_back(serve: Serve, client: triton.InferenceServerClient) -> None:
    for name in ("7", 'a "quoted" ünicode\n', "x" * 1000):
        got = client.infer("tiny-int8", [tensor(images(1))], request_id=name)
        assert got.get_response()["id"] == name
        assert got.as_numpy("output_0").shape == (1, 10)
    last = {**asked(images(1)), "id": "last"}
    assert post(serve, last).json()["id"] == "last"
    assert "id" not in post(serve, asked(images(1))).json()


def test_a_version_is_a_release(client: triton.InferenceServerClient) -> None:
    got = client.infer("tiny-int8", [tensor(images(1))], model_version="1").get_response()
    assert (got["model_name"], got["model_version"]) == ("tiny-int8", "1")
    with pytest.raises(InferenceServerException, match="version 2 is not found"):
        client.infer("tiny-int8", [tensor(images(1))], model_version="2")


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_the_greatest_values_come_as_classes(
    client: triton.InferenceServerClient, *, binary: bool
) -> None:
    x = images(2)
    asks = [wanted(class_count=2, binary_data=binary)]
    got = client.infer("tiny-int8", [tensor(x)], outputs=asks).as_numpy("output_0")
    assert got.shape == (2, 2)
    for row, values in zip(got, expected(x), strict=True):
        first, second = np.argsort(-values, kind="stable")[:2]
        texts = [one.decode() if isinstance(one, bytes) else one for one in row]
        assert texts == [f"{values[first]:f}:{first}", f"{values[second]:f}:{second}"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_bodies_may_come_compressed(client: triton.InferenceServerClient, coding: str) -> None:
    got = client.infer(
        "tiny-int8",
        [tensor(images(2))],
        request_compression_algorithm=coding,
        response_compression_algorithm=coding,
    )
    assert np.array_equal(got.as_numpy("output_0"), expected(images(2)))


def test_what_is_no_number_is_written_as_there(serve: Serve) -> None:
    x = images(1)
    x[0, 0, 0, 0] = np.inf
    body = json.dumps(asked(x))
    assert "Infinity" in body
    reply = post(serve, body.encode(), "models/tiny-float/infer")
    assert reply.status_code == 200
    assert "NaN" in reply.text


def test_many_may_be_asked_for_at_once(serve: Serve) -> None:
    """By the client's own greenlets, and by asyncio."""
    x = images(2)
    greenlets = triton.InferenceServerClient(serve.ready["http"], concurrency=4)
    waited = [greenlets.async_infer("tiny-int8", [tensor(x)], request_id=f"{n}") for n in range(16)]
    got = [one.get_result() for one in waited]
    greenlets.close()

    async def main() -> list[Any]:
        async with aio.InferenceServerClient(serve.ready["http"]) as client:
            asks = (client.infer("tiny-int8", [tensor(x)], request_id=f"{n}") for n in range(16))
            return list(await asyncio.gather(*asks))

    for each in (got, asyncio.run(main())):
        assert [one.get_response()["id"] for one in each] == [f"{n}" for n in range(16)]
        assert all(np.array_equal(one.as_numpy("output_0"), expected(x)) for one in each)
