"""A real serve, to which clients send more than it may hold."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from littoral.wire import frames
from littoral.wire.frames import Kind
from simulators.served import FIXTURES, Serve, serving, wait_until

MiB = 1024 * 1024


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Serve]:
    (tmp_path / "serve.toml").write_text(f"bodies_bytes = {16 * MiB}\n")
    model = f"--model=tiny={FIXTURES}/tiny_int8.tflite"
    with serving(f"--data={tmp_path}", model) as running:
        yield running


def promising(way: str, serve: Serve, folder: Path) -> socket.socket:
    """Return a client that has announced 16 MB."""
    size = 16_000_000
    if way == "frames":
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(folder / "run/serve.sock"))
        client.sendall(frames.begin(Kind.RUN, b"{}", body_bytes=size))
    else:
        client = socket.create_connection(serve.address)
        head = f"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}"
        client.sendall(head.encode() + b"\r\n\r\n")
    client.settimeout(0)
    return client


@pytest.mark.parametrize("way", ["http", "frames"])
def test_a_hundred_slow_uploads_take_no_more_than_they_may(
    device: Serve, tmp_path: Path, way: str
) -> None:
    """They bring 100 MiB together; small requests are answered meanwhile, and large ones after."""
    small = {"instances": [[[[0.5]] * 8] * 8]}
    url = f"{device.url}/v1/models/tiny:predict"
    assert requests.post(url, json=small, timeout=20).ok
    before, piece = device.kib(), bytes(128 * 1024)
    with ExitStack() as stack:
        clients = [stack.enter_context(promising(way, device, tmp_path)) for _ in range(100)]
        sent = 0
        for _ in range(8):
            for client in clients:
                with suppress(OSError):  # it was refused, or is not read from for now
                    sent += client.send(piece)
            assert requests.post(url, json=small, timeout=20).ok
            assert device.kib() - before < 55 * 1024
        assert sent > 50 * MiB

    def comes_through() -> bool:
        large = requests.post(url, data=bytes(15_000_000), timeout=20)
        assert large.status_code in (400, 429)  # that is no JSON; or there is no room yet
        return large.status_code == 400

    wait_until(comes_through)


@contextmanager
def crowded(serve: Serve) -> Iterator[None]:
    """Have a client hold most of what there is."""
    before = serve.kib()
    with promising("http", serve, Path()) as client:
        client.settimeout(20)
        client.sendall(bytes(14_000_000))
        wait_until(lambda: serve.kib() - before > 13_000)  # all of it was read
        yield


@pytest.mark.parametrize(
    ("path", "status", "laid_out"),
    [
        ("/v1/models/tiny:predict", 429, '{\n    "error": "'),
        ("http://localhost/v1/models/tiny:predict", 429, '{\n    "error": "'),
        ("/v2/models/tiny/infer", 503, '{"error":"'),
    ],
)
def test_who_finds_no_room_is_told_in_the_protocols_words(
    device: Serve, path: str, status: int, laid_out: str
) -> None:
    with crowded(device), closing(HTTPConnection(*device.address, timeout=20)) as client:
        client.request("POST", path, bytes(4 * MiB))
        reply = client.getresponse()
        told = reply.read().decode()
    assert reply.status == status
    assert told.startswith(laid_out)
    assert "try again later" in told
    assert (reply.getheader("Retry-After") == "1") == (status == 503)


def test_who_finds_no_room_is_counted_whichever_way_they_came(
    device: Serve, tmp_path: Path
) -> None:
    def told() -> str:
        return requests.get(f"{device.url}/metrics", timeout=20).text

    assert "littoral_bodies_refused_total 0\n" in told()
    with crowded(device):
        for way in ("http", "frames"):
            with promising(way, device, tmp_path) as client:
                client.settimeout(20)
                assert client.recv(1)
    assert "littoral_bodies_refused_total 2\n" in told()
