"""What the Open Inference Protocol tells of a server and its models, to Triton's client."""

from collections.abc import Iterator

import pytest
import requests
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from simulators.infers import tensor
from simulators.served import (
    FIXTURES,
    Serve,
    images,
    named,
    serving,
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
