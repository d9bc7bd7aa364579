"""The Open Inference Protocol over gRPC, asked by Triton's client."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from littoral.model import tensors
from littoral.model.backends import Array
from simulators.served import Device, Serve, expected, images, named, serving, tiny


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving(
        "--grpc", "127.0.0.1:0", *named("tiny_int8", "tiny_float", "two_int8", "picky")
    ) as running:
        yield running


@pytest.fixture(scope="module")
def client(serve: Serve) -> Iterator[Any]:
    with triton.InferenceServerClient(serve.ready["grpc"]) as one:
        yield one


def tensor(x: Array, name: str = "image", kind: str = "FP32") -> Any:
    one = triton.InferInput(name, list(x.shape), kind)
    one.set_data_from_numpy(x)
    return one


def refused(client: Any, inputs: Any, *, name: str = "tiny-int8", **how: Any) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as told:
        client.infer(name, inputs, **how)
    return str(told.value.status()), str(told.value.message())


INVALID = "StatusCode.INVALID_ARGUMENT"


def test_it_is_live_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny-int8")
    assert client.is_model_ready("tiny-int8", "1")
    assert not client.is_model_ready("tiny-int8", "2")
    assert not client.is_model_ready("none")


def test_it_tells_what_it_is_and_what_it_has(client: Any) -> None:
    told = client.get_server_metadata()
    assert told.name == "littoral"
    assert {"classification", "statistics"} <= set(told.extensions)
    told = client.get_model_metadata("tiny-int8")
    assert (told.name, list(told.versions)) == ("tiny-int8", ["1"])
    (image,) = told.inputs
    assert (image.name, image.datatype, list(image.shape)) == ("image", "FP32", [-1, 8, 8, 1])
    index = client.get_model_repository_index()
    assert [one.name for one in index.models] == ["tiny-int8", "tiny-float", "two-int8", "picky"]
    assert {one.state for one in index.models} == {"READY"}
    config = client.get_model_config("tiny-int8").config
    assert config.max_batch_size > 1
    assert config.input[0].data_type == 11  # TYPE_FP32
    assert list(config.input[0].dims) == [8, 8, 1]


def test_answers_equal_the_runtime_to_the_last_element(client: Any) -> None:
    for count in (1, 30):
        x = images(count)
        found = client.infer("tiny-int8", [tensor(x)], model_version="1", request_id="seven")
        assert np.array_equal(found.as_numpy("output_0"), expected(x))
        told = found.get_response()
        assert (told.id, told.model_name, told.model_version) == ("seven", "tiny-int8", "1")
        assert told.outputs[0].datatype == "FP32"


def test_the_datatype_asked_decides_what_is_seen(client: Any) -> None:
    stored = tensors.quantize(images(2), tiny().inputs[0])
    found = client.infer("tiny-int8", [tensor(stored, kind="INT8")]).as_numpy("output_0")
    assert found.dtype == np.int8
    assert np.array_equal(found[0], tiny().run(stored[:1])[0][0])
    how = {"parameters": {"signature_name": "float"}}
    seen = client.infer("tiny-int8", [tensor(stored, kind="INT8")], **how).as_numpy("output_0")
    assert np.array_equal(seen, expected(images(2)))


@pytest.mark.parametrize(("kind", "field"), [("FP32", "fp32_contents"), ("INT8", "int_contents")])
def test_values_may_come_one_by_one(client: Any, kind: str, field: str) -> None:
    x = images(1)
    stored = tensors.quantize(x, tiny().inputs[0])
    request = triton.service_pb2.ModelInferRequest(model_name="tiny-int8")
    one = request.inputs.add(name="image", datatype=kind, shape=[1, 8, 8, 1])
    getattr(one.contents, field).extend((x if kind == "FP32" else stored).ravel().tolist())
    stub = client._client_stub
    found = np.frombuffer(
        stub.ModelInfer(request).raw_output_contents[0], np.float32 if kind == "FP32" else np.int8
    )
    want = expected(x)[0] if kind == "FP32" else tiny().run(stored)[0][0]
    assert np.array_equal(found, want)
    if kind == "INT8":
        one.contents.int_contents[0] = 300
        with pytest.raises(Exception, match="a value of input 'image' is not of datatype 'INT8'"):
            stub.ModelInfer(request)
        one.datatype = "FP32"
        with pytest.raises(Exception, match="int_contents, expected fp32_contents"):
            stub.ModelInfer(request)


def test_one_output_may_be_asked_for_alone_and_as_classes(client: Any) -> None:
    x = {"left": np.ones((2, 4), np.float32), "right": np.zeros((2, 3), np.float32)}
    inputs = [tensor(value, name) for name, value in x.items()]
    every = client.infer("two-int8", inputs)
    names = [one.name for one in every.get_response().outputs]
    assert len(names) == 2
    wanted = [triton.InferRequestedOutput(names[1])]
    found = client.infer("two-int8", inputs, outputs=wanted)
    assert [one.name for one in found.get_response().outputs] == [names[1]]
    assert np.array_equal(found.as_numpy(names[1]), every.as_numpy(names[1]))
    wanted = [triton.InferRequestedOutput("output_0", class_count=2)]
    (row,) = client.infer("tiny-int8", [tensor(images(1))], outputs=wanted).as_numpy("output_0")
    value, at = row[0].decode().split(":")
    whole = client.infer("tiny-int8", [tensor(images(1))]).as_numpy("output_0")
    assert int(at) == whole[0].argmax()
    assert float(value) == pytest.approx(whole.max(), abs=1e-5)


def test_a_stream_goes_on_behind_what_went_wrong(client: Any) -> None:
    found: list[tuple[Any, Any]] = []
    client.start_stream(lambda result, error: found.append((result, error)))
    x = images(3)
    client.async_stream_infer("tiny-int8", [tensor(x)])
    client.async_stream_infer("none", [tensor(x)])
    client.async_stream_infer("tiny-int8", [tensor(x)])
    client.stop_stream()
    (first, _), (_, wrong), (last, _) = found
    assert np.array_equal(first.as_numpy("output_0"), expected(x))
    assert "Request for unknown model: 'none' is not found" in str(wrong)
    assert np.array_equal(last.as_numpy("output_0"), first.as_numpy("output_0"))


def test_a_mistake_is_told_in_tritons_words(client: Any) -> None:
    x = images(1)
    cases = [
        ([tensor(x, "other")], "unexpected inference input 'other' for model 'tiny-int8'"),
        ([], "expected 1 inputs but got 0 inputs"),
        ([tensor(x[0])], "unexpected shape for input 'image' for model 'tiny-int8'"),
        ([tensor(x.astype(np.int32), kind="INT32")], "data-type is 'INT32'"),
    ]
    for inputs, words in cases:
        status, told = refused(client, inputs)
        assert status == INVALID
        assert words in told
    shm = triton.InferInput("image", [1, 8, 8, 1], "FP32")
    shm.set_shared_memory("region", 256)
    assert "hared memory" in refused(client, [shm])[1]
    status, told = refused(client, [tensor(x)], name="none")
    assert status == "StatusCode.NOT_FOUND"
    assert told == "Request for unknown model: 'none' is not found"
    assert refused(client, [tensor(x)], model_version="2")[0] == "StatusCode.NOT_FOUND"
    assert (
        "version should be an integral value" in refused(client, [tensor(x)], model_version="x")[1]
    )


def test_raw_bytes_must_be_those_of_the_shape(client: Any) -> None:
    request = triton.service_pb2.ModelInferRequest(model_name="tiny-int8")
    request.inputs.add(name="image", datatype="FP32", shape=[1, 8, 8, 1])
    stub = client._client_stub
    for raw, words in (
        ([b"1234"], "input byte size mismatch for input 'image'.*Expected 256, got 4"),
        ([bytes(256)] * 2, "expected raw_input_contents of 1 inputs .* found 2"),
        ([], "Expected 256, got 0"),
    ):
        request.raw_input_contents[:] = raw
        with pytest.raises(Exception, match=words):
            stub.ModelInfer(request)
    request.raw_input_contents[:] = [bytes(256)]
    request.inputs[0].contents.fp32_contents.append(1)
    with pytest.raises(Exception, match="contents field must not be specified"):
        stub.ModelInfer(request)


def test_a_failure_of_the_model_is_not_the_clients(client: Any) -> None:
    rows = tensor(np.array([2, 7], np.int32), "rows", "INT32")
    status, told = refused(client, [rows], name="picky")
    assert status == "StatusCode.INTERNAL"
    assert "gather index out of bounds" in told


def test_nothing_is_loaded_or_unloaded_for_a_client(client: Any) -> None:
    for call in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException) as told:
            call("tiny-int8")
        assert told.value.status() == "StatusCode.PERMISSION_DENIED"


def test_statistics_count_what_both_ways_brought(serve: Serve, client: Any) -> None:
    def count() -> int:
        (one,) = client.get_inference_statistics("tiny-float").model_stats
        return int(one.inference_count)

    before = count()
    client.infer("tiny-float", [tensor(images(3))])
    body = {"instances": images(2).tolist()}
    url = f"{serve.url}/v1/models/tiny-float:predict"
    assert requests.post(url, json=body, timeout=20).status_code == 200
    assert count() == before + 5
    assert len(client.get_inference_statistics().model_stats) == 4


def test_classes_are_told_by_the_names_of_the_bundle(tmp_path: Any) -> None:
    device = Device(tmp_path)
    names = device.blob("\n".join(f"digit {k}" for k in range(10)).encode())
    release = device.add("digits")
    files = {**release.manifest.files, "labels.txt": names}
    device.good(device.put(replace(release.manifest, files=files, labels="labels.txt")))
    with (
        serving("--data", str(tmp_path), "--grpc", "127.0.0.1:0") as running,
        triton.InferenceServerClient(running.ready["grpc"]) as one,
    ):
        wanted = [triton.InferRequestedOutput("output_0", class_count=1)]
        (row,) = one.infer("digits", [tensor(images(1))], outputs=wanted).as_numpy("output_0")
    assert b":digit " in row[0]
