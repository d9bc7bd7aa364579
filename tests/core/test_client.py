"""The small client, against a real serve."""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from littoral.client import Client
from littoral.errors import DeniedError, MalformedError, MisuseError, UnreachableError
from littoral.model import tensors
from littoral.model.backends import open_session
from simulators.served import FIXTURES, Device, Serve, ask, model, noise, serving


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    names = ("tiny_int8", "tiny_float", "two_int8")
    options = [f"--model={name.replace('_', '-')}={FIXTURES / name}.tflite" for name in names]
    with serving(*options) as running:
        yield running


def test_arrays_go_in_and_come_out(serve: Serve) -> None:
    session = open_session("litert", model("tiny_int8"))
    x = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    with Client(serve.url) as client:
        got = client.predict("tiny-int8", x)
        raw = client.predict(
            "tiny-int8", tensors.quantize(x, session.inputs[0]), signature="raw", release=1
        )
        assert client.release("tiny-int8") == 1
    assert isinstance(got, np.ndarray)
    assert isinstance(raw, np.ndarray)
    stored = [session.run(tensors.quantize(one[None], session.inputs[0]))[0] for one in x]
    assert np.array_equal(raw, np.concatenate(stored))
    assert got.dtype == np.float32
    assert np.array_equal(got, tensors.dequantize(np.concatenate(stored), session.outputs[0]))


def test_several_tensors_go_by_name(serve: Serve) -> None:
    session = open_session("litert", model("two_int8"))
    ((left, right),) = noise(session.inputs, 1)
    with Client(serve.url) as client:
        got = client.predict("two-int8", {"left": left, "right": right})
    assert isinstance(got, dict)
    for spec, expected in zip(session.outputs, session.run(left, right), strict=True):
        assert np.array_equal(got[spec.name], expected)


def test_nan_travels_both_ways(serve: Serve) -> None:
    with Client(serve.url) as client:
        got = client.predict("tiny-float", np.full((1, 8, 8, 1), np.nan, np.float32))
    assert isinstance(got, np.ndarray)
    assert np.isnan(got).any()


def test_a_no_says_why(serve: Serve) -> None:
    with Client(serve.url) as client:
        with pytest.raises(DeniedError, match=r"Servable not found for request: Latest\(gone\)"):
            client.predict("gone", [1])
        with pytest.raises(DeniedError, match=r"Expecting shape \[1,8,8,1\] but got: \[1\]"):
            client.predict("tiny-int8", [1.0])
        with pytest.raises(DeniedError, match="Could not find any versions of model gone"):
            client.release("gone")


def test_a_server_that_is_restarted_is_found_again() -> None:
    option = f"--model=tiny={FIXTURES}/tiny_int8.tflite"
    with serving(option) as serve:
        client = Client(serve.url)
        assert client.release("tiny") == 1
        serve.kill()
        with pytest.raises(UnreachableError, match="is it running"):
            client.release("tiny")
        with serving(option, "--http", serve.ready["http"]):
            assert client.release("tiny") == 1
        client.close()


def test_the_unix_socket_is_spoken_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    device = Device(tmp_path_factory.mktemp("c") / "data")
    device.good(device.add("digits", release=6))
    with (
        serving(f"--data={device.tree.root}"),
        Client(f"unix://{device.tree.serve}") as client,
    ):
        assert ask(device.tree.serve, "GET", "/v1/models/digits")[0] == 200
        assert client.release("digits") == 6


@pytest.mark.parametrize("reply", [b"{}", b'{"outputs": [["x"]]}', b"what", b"[1]"])
def test_another_server_is_not_believed(reply: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(reply)
                connection.sendall(head + reply)

        thread = threading.Thread(target=answer)
        thread.start()
        host, port = server.getsockname()
        with Client(f"http://{host}:{port}") as client, pytest.raises(MalformedError):
            client.predict("m", [1.0])
        thread.join()


@pytest.mark.parametrize("url", ["", "localhost:8501", "ftp://x", "unix://", "http://x:99999999"])
def test_a_url_that_is_none_is_a_misuse(url: str) -> None:
    with pytest.raises(MisuseError):
        Client(url)
