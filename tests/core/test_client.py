"""The small client, both ways, against a real serve."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.asking.http import column
from littoral.client import Client
from littoral.errors import (
    BackendError,
    DeadlineError,
    DeniedError,
    LittoralError,
    MalformedError,
    MisuseError,
    OverloadedError,
    StorageError,
    UnreachableError,
)
from littoral.model import tensors
from littoral.model.backends import Array, open_session
from littoral.wire import elements, frames
from littoral.wire.control import Activated
from littoral.wire.frames import Kind, Spec
from simulators import detectors
from simulators.served import FIXTURES, Device, Serve, model, noise, order, serving

NAMES = ("tiny_int8", "tiny_float", "two_int8")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return Device(tmp_path_factory.mktemp("client") / "data")


@pytest.fixture(scope="module")
def serve(device: Device) -> Iterator[Serve]:
    options = [f"--model={name.replace('_', '-')}={FIXTURES / name}.tflite" for name in NAMES]
    device.good(device.add("digits", release=6))
    device.good(detectors.release(device))
    with serving(f"--data={device.tree.root}", *options) as running:
        yield running


@pytest.fixture(params=["http", "unix"])
def client(request: pytest.FixtureRequest, serve: Serve, device: Device) -> Iterator[Client]:
    """Either way: what it promises is asked of both."""
    url = serve.url if request.param == "http" else f"unix://{device.tree.serve}"
    with Client(url) as client:
        yield client


def only(client: Client, model: str, x: object, **words: Any) -> Array:
    """Return the answer of a model that has one output."""
    got = client.predict(model, x, **words)  # type: ignore[arg-type]
    assert isinstance(got, np.ndarray)
    return got


def images(count: int = 5) -> Array:
    return np.random.default_rng(0).random((count, 8, 8, 1), np.float32)


def test_arrays_go_in_and_come_out(client: Client) -> None:
    session = open_session("litert", model("tiny_int8"))
    x = images()
    quantized = tensors.quantize(x, session.inputs[0])
    stored = np.concatenate([session.run(one[None])[0] for one in quantized])
    for _ in range(2):  # the second time it knows the model
        got = only(client, "tiny-int8", x)
        raw = only(client, "tiny-int8", quantized, signature="raw", release=1)
        assert np.array_equal(raw, stored)
        assert raw.dtype == np.int8
        assert got.dtype == np.float32
        assert np.array_equal(got, tensors.dequantize(stored, session.outputs[0]))
        got += 1  # it is the caller's own
    assert client.release("tiny-int8") == 1
    assert client.release("digits") == 6


def test_pictures_go_in_as_they_are_and_answers_come_out(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "squares.png"
    path.write_bytes(detectors.picture())
    for one in (path, str(path), path.read_bytes()):
        found = client.look("squares", one)
        assert found["num_detections"].tolist() == [2]
        assert found["detection_classes_as_text"].tolist() == [["blue", "red"]]
        assert found["detection_boxes"].dtype == np.float32
        assert found["detection_boxes"][0, 1].tolist() == [0.125, 0.25, 0.5, 0.625]
    wide = detectors.picture(1280, 1000, "JPEG")
    found = client.look("squares", [path, wide], top=1, threshold=0.5, release=1)
    assert found["detection_scores"].shape == (2, 1)
    assert client.predict("tiny-int8", images(1)) is not None  # the same client asks both


def test_pictures_that_cannot_be_taken_are_a_no(client: Client, tmp_path: Path) -> None:
    for name, picture, why in (
        ("squares", b"nothing", "picture"),
        ("two-int8", detectors.picture(), "two-int8|picture|input"),
        ("none", detectors.picture(), "none"),
    ):
        with pytest.raises(DeniedError, match=why):
            client.look(name, picture)
    with pytest.raises(StorageError, match=r"none\.jpg: No such file"):
        client.look("squares", tmp_path / "none.jpg")


def test_elements_are_text_or_a_files_bytes() -> None:
    words = [b"", b"\xc3\xa4", b"red"]
    whole = elements.pack(words)
    assert column("classes", whole, [3, 1]).tolist() == [[""], ["ä"], ["red"]]
    assert column("mask_bytes", whole, [3]).tolist() == words
    for data, shape in ((whole[:-1], [3]), (whole + b"\0", [3]), (whole, [2]), (b"\0\0", [0])):
        with pytest.raises(ValueError, match=r"longer than|reshape"):
            column("classes", data, shape)


def test_what_a_model_takes_is_described_alike_both_ways(client: Client) -> None:
    shapes = [(-1, 8, 8, 1), (-1, 10)]  # any number, as metadata say it
    for name in ("tiny-int8", "digits"):
        told = client.describe(name)
        assert sorted(told.signatures) == ["float", "raw", "serving_default"]
        raw = told.signatures["raw"]
        assert [spec.shape for spec in (*raw.inputs, *raw.outputs)] == shapes
        assert {spec.dtype for spec in (*raw.inputs, *raw.outputs)} == {"int8"}


def test_several_tensors_go_by_name(client: Client) -> None:
    session = open_session("litert", model("two_int8"))
    ((left, right),) = noise(session.inputs, 1)
    names = [spec.name for spec in session.inputs]
    got = client.predict("two-int8", dict(zip(names, (left, right), strict=True)), signature="raw")
    assert isinstance(got, dict)
    for spec, expected in zip(session.outputs, session.run(left, right), strict=True):
        assert np.array_equal(got[spec.name], expected)
    with pytest.raises(DeniedError, match="it takes several inputs by name"):
        client.predict("two-int8", left)
    with pytest.raises(DeniedError, match="expected the inputs"):
        client.predict("two-int8", {names[0]: left})


def test_numbers_become_what_the_model_takes_and_no_other_number(client: Client) -> None:
    wanted = only(client, "tiny-float", images())
    assert np.array_equal(only(client, "tiny-float", images().tolist()), wanted)
    turned = np.asfortranarray(images().astype(">f8"))
    assert np.array_equal(only(client, "tiny-float", turned), wanted)
    ints = np.arange(64).reshape(1, 8, 8, 1)
    stored = only(client, "tiny-int8", ints, signature="raw")
    assert np.array_equal(only(client, "tiny-int8", ints.astype("i1"), signature="raw"), stored)
    for odd in (ints + 100, ints - 200, ints.astype(float), ints.astype(str), ints > 5):
        with pytest.raises(DeniedError, match="expected int8, found"):
            client.predict("tiny-int8", odd, signature="raw")
    with pytest.raises(DeniedError, match=r"found int64 from 100 to 163$"):
        client.predict("tiny-int8", ints + 100, signature="raw")
    with pytest.raises(DeniedError, match="found float64; signature='float' takes real numbers"):
        client.predict("tiny-int8", ints.astype(float), signature="raw")
    for odd in (ints.astype(str), ints * 1j):
        with pytest.raises(DeniedError, match="expected float32, found"):
            client.predict("tiny-float", odd)


def test_nan_travels_both_ways(client: Client) -> None:
    got = only(client, "tiny-float", np.full((1, 8, 8, 1), np.nan, np.float32))
    assert np.isnan(got).any()


def test_a_no_says_why(client: Client) -> None:
    with pytest.raises(DeniedError, match="gone"):
        client.predict("gone", [1])
    with pytest.raises(DeniedError, match="gone"):
        client.release("gone")
    with pytest.raises(DeniedError, match="digits"):
        client.predict("digits", images(), release=5)
    with pytest.raises(DeniedError, match="1,8,8,1"):
        client.predict("tiny-int8", np.ones((1, 64)))
    with pytest.raises(DeniedError, match="no signature 'odd'; there are: "):
        client.predict("tiny-int8", images(), signature="odd")
    assert isinstance(client.predict("tiny-int8", images()), np.ndarray)


def test_another_release_is_noticed(tmp_path_factory: pytest.TempPathFactory) -> None:
    device = Device(tmp_path_factory.mktemp("c") / "data")
    device.good(device.add("digits", release=1))
    two = model("two_int8")
    second = device.add("digits", release=2, data=two, golden_of=two, **_of("two_int8"))
    third = device.add("digits", release=3)
    ((left, right),) = noise(open_session("litert", two).inputs, 1)
    with serving(f"--data={device.tree.root}") as serve:
        clients = [Client(serve.url), Client(f"unix://{device.tree.serve}")]
        for client in clients:
            client.predict("digits", images())
        order(device, "activate", Activated, second.order)
        for client in clients:
            got = client.predict("digits", {"left": left, "right": right}, signature="raw")
            assert isinstance(got, dict)
            with pytest.raises(DeniedError):
                client.predict("digits", images())
        order(device, "activate", Activated, third.order)
        for client in clients:
            assert isinstance(client.predict("digits", images()), np.ndarray)
            client.close()


def _of(name: str) -> dict[str, Any]:
    session = open_session("litert", model(name))
    return {"inputs": session.inputs, "outputs": session.outputs}


@pytest.mark.parametrize("way", ["http", "unix"])
def test_a_server_that_is_restarted_is_found_again(
    way: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = tmp_path_factory.mktemp("c") / "data"
    options = (f"--data={data}", f"--model=tiny={FIXTURES}/tiny_int8.tflite")
    with serving(*options) as serve:
        client = Client(serve.url if way == "http" else f"unix://{data}/run/serve.sock")
        assert client.release("tiny") == 1
        serve.kill()
        with pytest.raises(UnreachableError, match=": Connection refused; is it running"):
            client.release("tiny")
        with serving(*options, "--http", serve.ready["http"]) as again:
            client.predict("tiny", images())
            again.kill()
            with serving(*options, "--http", serve.ready["http"]):
                client.predict("tiny", images())  # on a connection that was closed meanwhile
        client.close()


def answering(family: socket.AddressFamily, where: object, reply: Callable[[bytes], bytes]) -> str:
    """Answer one connection with whatever ``reply`` makes of each thing that is said."""
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind(where)  # type: ignore[arg-type]
    server.listen()

    def answer() -> None:
        connection, _ = server.accept()
        with connection, server:
            while said := connection.recv(65536):
                connection.sendall(reply(said))

    threading.Thread(target=answer, daemon=True).start()
    name = server.getsockname()
    return f"unix://{name}" if isinstance(name, str) else f"http://{name[0]}:{name[1]}"


def asked(url: str) -> None:
    with Client(url, timeout_s=5) as client:
        client.predict("m", [1.0])


@pytest.mark.parametrize("reply", [b"{}", b'{"model_spec": 1}', b"what", b"[1]"])
def test_another_http_server_is_not_believed(reply: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(reply)
    url = answering(socket.AF_INET, ("127.0.0.1", 0), lambda _: head + reply)
    with pytest.raises(MalformedError):
        asked(url)


def test_what_speaks_no_http_is_no_server_that_is_away() -> None:
    settings = b"\0\0\x18\4\0\0\0\0\0\0\4\0@\0\0\0\5"  # how an HTTP/2 server begins
    url = answering(socket.AF_INET, ("127.0.0.1", 0), lambda _: settings + b"\r\n")
    with pytest.raises(UnreachableError, match="speaks no HTTP; is it serve's gRPC"):
        asked(url)


DESCRIBED = {
    "model": "m",
    "release": 1,
    "label": "1",
    "signatures": {
        "serving_default": {
            "inputs": [{"name": "x", "dtype": "float32", "shape": [1]}],
            "outputs": [{"name": "y", "dtype": "float32", "shape": [1]}],
        }
    },
}
Y = Spec("y", "float32", (1,))


def told(kind: Kind, record: object, body: bytes = b"") -> bytes:
    return frames.begin(kind, frames.head(record), body_bytes=len(body)) + body


def done(*outputs: Spec, body: bytes = b"") -> bytes:
    return told(Kind.DONE, frames.Done(model="m", release=1, outputs=outputs), body)


@pytest.mark.parametrize(
    ("takes", "gives", "described"),
    [((4, 3), (4,), (-1, 3)), ((1, 3), (4,), (1, 3)), ((), (), ()), ((3,), (), (3,))],
)
def test_any_number_may_come_where_all_tensors_have_a_row_for_each(
    takes: tuple[int, ...], gives: tuple[int, ...], described: tuple[int, ...], tmp_path: Path
) -> None:
    x, y = Spec("x", "float32", takes), Spec("y", "float32", gives)
    signatures = {"raw": frames.Signature(inputs=(x,), outputs=(y,))}
    reply = told(Kind.DESCRIBED, DESCRIBED | {"signatures": signatures})
    with Client(answering(socket.AF_UNIX, str(tmp_path / "s"), lambda _: reply)) as client:
        (found,) = client.describe("m").signatures["raw"].inputs
    assert found.shape == described


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x8fL\x02" + bytes(13),
        told(Kind.DESCRIBED, DESCRIBED),
        told(Kind.DONE, {"model": "m"}),
        done(Y, body=b"1234" * 2),
        done(Y, body=b"123"),
        done(Spec("y", "float32", (2**40,)), body=b"1234"),
        frames.begin(Kind.DONE, b"{}", body_bytes=2**32 - 1),
    ],
)
def test_another_local_server_is_not_believed(reply: bytes, tmp_path: Path) -> None:
    replies = iter([told(Kind.DESCRIBED, DESCRIBED), reply])
    url = answering(socket.AF_UNIX, str(tmp_path / "s"), lambda _: next(replies))
    with pytest.raises(MalformedError):
        asked(url)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("overloaded", OverloadedError),
        ("deadline", DeadlineError),
        ("backend", BackendError),
        ("not-found", DeniedError),
        ("a-code-of-tomorrow", DeniedError),
    ],
)
def test_each_no_is_an_error_of_its_own(
    code: str, kind: type[LittoralError], tmp_path: Path
) -> None:
    url = answering(socket.AF_UNIX, str(tmp_path / "s"), lambda _: frames.refusal(code, "so it is"))
    with pytest.raises(kind, match="so it is"):
        asked(url)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, OverloadedError), (503, OverloadedError), (504, DeadlineError), (500, BackendError)],
)
def test_each_status_is_an_error_of_its_own(status: int, kind: type[LittoralError]) -> None:
    said = b'HTTP/1.1 %d No\r\nContent-Length: 21\r\n\r\n{"error": "so it is"}' % status
    url = answering(socket.AF_INET, ("127.0.0.1", 0), lambda _: said)
    with pytest.raises(kind, match="so it is"):
        asked(url)


def test_a_server_that_says_nothing_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    url = answering(socket.AF_UNIX, str(tmp_path / "s"), lambda _: b"\x8f")
    with Client(url, timeout_s=0.1) as client, pytest.raises(UnreachableError):
        client.release("m")


@pytest.mark.parametrize("url", ["", "localhost:8501", "ftp://x", "unix://", "http://x:99999999"])
def test_a_url_that_is_none_is_a_misuse(url: str) -> None:
    with pytest.raises(MisuseError):
        Client(url)
