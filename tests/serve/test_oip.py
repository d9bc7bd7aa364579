"""The Open Inference Protocol over HTTP, asked by Triton's client and by hand."""

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tritonclient.http import aio
from tritonclient.utils import InferenceServerException

from littoral.model import tensors
from littoral.model.backends import Array, open_session
from littoral.wire.control import Activated
from littoral_serve.http.again import Again
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.protocols.oip import OpenInference
from littoral_serve.running.lane import Bounds
from littoral_serve.running.live import Models
from simulators.loaded import Doubling, loaded, models
from simulators.served import (
    FIXTURES,
    Device,
    Serve,
    expected,
    images,
    model,
    named,
    noise,
    order,
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


def tensor(x: Array, name: str = "image", kind: str = "FP32", *, binary: bool = True) -> Any:
    one = triton.InferInput(name, list(x.shape), kind)
    one.set_data_from_numpy(x, binary_data=binary)
    return one


def wanted(name: str = "output_0", **how: Any) -> Any:
    return triton.InferRequestedOutput(name, **how)


def post(serve: Serve, body: Any, path: str = "models/tiny-int8/infer", **how: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    return requests.post(f"{serve.url}/v2/{path}", data=data, timeout=20, **how)


def asked(x: Array, **changes: Any) -> dict[str, Any]:
    """Return a request in JSON whose input is changed so."""
    one = {"name": "image", "shape": x.shape, "datatype": "FP32", "data": x.tolist()} | changes
    return {"inputs": [{key: value for key, value in one.items() if value is not None}]}


# What is told


def test_it_is_live_and_ready(serve: Serve, client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny-int8")
    assert client.is_model_ready("tiny-int8", "1")
    assert not client.is_model_ready("tiny-int8", "2")
    assert not client.is_model_ready("none")
    for path, keys in (("live", {"live"}), ("ready", {"live", "ready"})):
        told = requests.get(f"{serve.url}/v2/health/{path}", timeout=20).json()
        assert told == dict.fromkeys(keys, True)


def test_the_server_says_what_it_is(client: triton.InferenceServerClient) -> None:
    told = client.get_server_metadata()
    assert told["name"] == "littoral"
    assert {"binary_tensor_data", "classification", "statistics"} <= set(told["extensions"])


def test_models_are_listed(serve: Serve, client: triton.InferenceServerClient) -> None:
    names = requests.get(f"{serve.url}/v2/models", timeout=20).json()["models"]
    assert names == ["tiny-int8", "tiny-float", "two-int8", "picky"]
    index = client.get_model_repository_index()
    assert [one["name"] for one in index] == names
    assert index[0] == {"name": "tiny-int8", "version": "1", "state": "READY", "reason": ""}


def test_a_model_tells_its_tensors_and_how_they_are_stored(
    client: triton.InferenceServerClient,
) -> None:
    told = client.get_model_metadata("tiny-int8", "1")
    assert (told["name"], told["versions"]) == ("tiny-int8", ["1"])
    (image,) = told["inputs"]
    assert (image["name"], image["datatype"], image["shape"]) == ("image", "FP32", [-1, 8, 8, 1])
    assert image["parameters"] == {
        "stored": "INT8",
        "scale": pytest.approx(1 / 255),
        "zero_point": -128,
    }


def test_a_client_that_sends_batches_finds_out_whether_it_may(
    client: triton.InferenceServerClient,
) -> None:
    told = client.get_model_config("two-int8")
    assert told["max_batch_size"] > 1
    assert [(one["name"], one["dims"]) for one in told["output"]] == [("many", [5]), ("few", [2])]
    assert told["input"][0] | {"dims": [4], "data_type": "TYPE_FP32"} == told["input"][0]


def test_statistics_count_requests_and_instances(serve: Serve) -> None:
    with serving(f"--model=one={FIXTURES / 'tiny_int8'}.tflite") as fresh:
        client = triton.InferenceServerClient(fresh.ready["http"])
        before = client.get_inference_statistics("one")["model_stats"][0]
        assert (before["inference_count"], before["last_inference"]) == (0, 0)
        for count in (1, 5):
            client.infer("one", [tensor(images(count))])
        (told,) = client.get_inference_statistics("one", "1")["model_stats"]
        client.close()
    assert (told["inference_count"], told["execution_count"]) == (6, 6)
    assert told["last_inference"] > 0
    figures = told["inference_stats"]
    assert {figures[name]["count"] for name in ("success", "queue", "compute_infer")} == {2}
    assert figures["success"]["ns"] >= figures["compute_infer"]["ns"] > 0
    assert told["batch_stats"][0]["compute_infer"]["count"] == 6
    every = requests.get(f"{serve.url}/v2/models/stats", timeout=20).json()["model_stats"]
    assert len(every) == 4


def test_nothing_is_loaded_or_unloaded_for_a_client(client: triton.InferenceServerClient) -> None:
    for do in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="the agent") as refused:
            do("tiny-int8")
        assert refused.value.status() == "403"
    assert client.is_model_ready("tiny-int8")


# What is answered


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


# What is refused


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


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "models/none", 404),
        ("GET", "models/tiny-int8/versions/2", 404),
        ("GET", "models/tiny-int8/versions/99999999999999999999", 400),
        ("POST", "models/none/infer", 404),
        ("GET", "models/tiny-int8/trace/setting", 404),
        ("GET", "systemsharedmemory/status", 404),
        ("GET", "models/tiny-int8/infer", 405),
        ("POST", "models/tiny-int8", 405),
        ("GET", "repository/index", 405),
        ("DELETE", "health/live", 405),
    ],
)
def test_paths_and_methods_have_tritons_statuses(
    serve: Serve, method: str, path: str, status: int
) -> None:
    reply = requests.request(method, f"{serve.url}/v2/{path}", timeout=20)
    assert reply.status_code == status
    assert reply.json()["error"]
    assert (status == 405) == ("Allow" in reply.headers)


def test_a_failure_of_the_model_is_not_the_clients(serve: Serve) -> None:
    rows = {"name": "rows", "shape": [2], "datatype": "INT32", "data": [9, 9]}
    reply = post(serve, {"inputs": [rows]}, "models/picky/infer")
    assert reply.status_code == 500
    assert "the model failed" in reply.json()["error"]


# Behind one's back: what no client can bring about at will


def _request(**parameters: Any) -> Request:
    one = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    body = json.dumps({"inputs": [one], "parameters": parameters}).encode()
    return Request("POST", b"/v2/models/m/infer", {}, body, keep_alive=True, arrived_ns=0)


async def _ask(one: OpenInference, **parameters: Any) -> Response:
    answer = one.handle(_request(**parameters))
    if isinstance(answer, Response):
        return answer
    given: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    if answer.response is not None:
        return answer.response
    answer.then(given.set_result)
    return await given


def test_a_full_queue_is_told_to_come_again() -> None:
    async def main() -> None:
        live = loaded(Doubling(), bounds=Bounds(requests=1))
        one = OpenInference(models(live), deadline_s=30)
        async with live.lane.alone():
            assert isinstance(one.handle(_request()), Later)
            refused = await _ask(one)
        assert refused.status == 503
        assert (live.lane.overloaded, live.lane.late) == (1, 0)
        assert b"Retry-After: 1" in refused.headers

    asyncio.run(main())


def test_a_request_that_waited_too_long_is_not_run() -> None:
    """It arrived when the clock began; a microsecond later is long ago."""

    async def main() -> None:
        live = loaded(Doubling())
        one = OpenInference(models(live), deadline_s=1e9)
        async with live.lane.alone():
            late = asyncio.ensure_future(_ask(one, timeout=1))
            in_time = asyncio.ensure_future(_ask(one))
            await asyncio.sleep(0)
        assert (await late).status == 504
        assert (live.lane.overloaded, live.lane.late) == (0, 1)
        assert (await in_time).status == 200

    asyncio.run(main())


def test_a_release_that_was_switched_out_is_let_go() -> None:
    async def main() -> None:
        having = Models(keep_previous_free_bytes=2**62)
        one = OpenInference(having, deadline_s=1e9)
        having.switch(loaded(Doubling(), release=1))
        assert json.loads((await _ask(one)).body)["model_version"] == "1"
        before = weakref.ref(having.get("m"))
        having.switch(loaded(Doubling(), release=2))
        assert json.loads((await _ask(one)).body)["model_version"] == "2"
        gc.collect()
        assert before() is None

    asyncio.run(main())


def test_a_device_answers_with_the_release_that_it_was_ordered_to(tmp_path: Path) -> None:
    device = Device(tmp_path)
    first, second = (device.add("digits", release=n) for n in (1, 2))
    device.good(first)
    with serving("--data", str(tmp_path)) as serve:
        client = triton.InferenceServerClient(serve.ready["http"])
        for number, release in ((1, first), (2, second)):
            order(device, "activate", Activated, release.order)
            got = client.infer("digits", [tensor(images(1))]).get_response()
            assert got["model_version"] == str(number)
            assert client.get_model_metadata("digits")["versions"] == [str(number)]
        client.close()


def _binary(x: Array, **said: Any) -> tuple[bytes, int]:
    """Return a body of one tensor in binary, and how long its head is."""
    one = {"name": "x", "shape": [1, 2], "datatype": "FP32"} | said
    one["parameters"] = {"binary_data_size": x.nbytes}
    head = json.dumps({"inputs": [one], "parameters": {"binary_data_output": True}}).encode()
    return head + x.tobytes(), len(head)


def test_what_begins_as_before_is_not_looked_at_again_and_is_answered_as_before() -> None:
    """Whoever is switched to, and whatever the head says: Again is one connection's memory."""

    async def main() -> None:
        having = Models(keep_previous_free_bytes=2**62)
        one = OpenInference(having, deadline_s=1e9)
        having.switch(loaded(Doubling(), release=1))
        x = np.array([[1, 2]], np.float32)
        body, length = _binary(x)
        headers = {b"inference-header-content-length": b"%d" % length}
        again = Again(b"", len(body), "POST", b"/v2/models/m/infer", headers)

        def answer(body: bytes) -> tuple[int, bytes]:
            request = again.request(memoryview(bytearray(body)), arrived_ns=0)
            given = (again.answer or one.handle)(request)
            response = given.response if isinstance(given, Later) else given
            assert isinstance(response, Response)
            return response.status, response.body

        for factor in (1, 2, 3):
            status, told = answer(body[:length] + (x * factor).tobytes())
            assert (status, told[-8:]) == (200, (x * factor * 2).tobytes())
            assert again.answer is not None
        wrong, _ = _binary(x, name="y")  # as long
        assert answer(wrong)[0] == 400
        assert again.answer is None
        for release in (2, 3):
            having.switch(loaded(Doubling(), release=release))
            assert b'"model_version":"%d"' % release in answer(body)[1]
            assert answer(body)[0] == 200
        before = weakref.ref(having.get("m"))
        having.switch(loaded(Doubling(), release=4))  # nothing more is said on this connection
        gc.collect()
        assert before() is None

    asyncio.run(main())


@pytest.mark.parametrize("header", [b"origin", b"content-encoding"])
def test_where_more_is_to_be_done_it_is_done_each_time(header: bytes) -> None:
    body, length = _binary(np.array([[1, 2]], np.float32))
    headers = {b"inference-header-content-length": b"%d" % length, header: b"identity"}
    again = Again(b"", len(body), "POST", b"/v2/models/m/infer", headers)
    one = OpenInference(models(loaded(Doubling())), deadline_s=1e9)
    for _ in range(2):
        assert isinstance(one.handle(again.request(body, arrived_ns=0)), Later)
        assert again.answer is None
