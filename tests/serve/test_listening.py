"""Where serve listens: its own sockets, those of others, and those that systemd hands over."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from littoral_serve.settings import Settings
from patience import patient
from simulators.ordered import running
from simulators.served import FIXTURES, Device, ask, command, serving

FILE = f"tiny={FIXTURES}/tiny_int8.tflite"
TINY = f"--model={FILE}"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def test_a_second_serve_on_the_same_folder_is_told_of_the_first(device: Device) -> None:
    with serving(f"--data={device.tree.root}"):
        done = command("--data", str(device.tree.root), "--http", "127.0.0.1:0")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"error: cannot listen on {device.tree.control}: another program does; "
            "stop it or choose another port [port-in-use]\n"
        )
        assert running(device) == {}


def test_a_port_in_use_is_one_line() -> None:
    with serving(TINY) as serve:
        done = command("--http", serve.ready["http"], "--model", FILE)
        assert done.returncode == 1
        assert done.stderr == (
            f"error: cannot listen on {serve.ready['http']}: another program does; "
            "stop it or choose another port [port-in-use]\n"
        )


def test_what_is_no_socket_is_left_alone(device: Device) -> None:
    device.tree.control.write_text("mine")
    done = command("--data", str(device.tree.root), "--http", "127.0.0.1:0")
    assert done.returncode == 1
    assert "expected a socket, found another file [storage]" in done.stderr
    assert device.tree.control.read_text() == "mine"


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    far = Device(tmp_path / ("x" * 100))
    done = command("--data", str(far.tree.root), "--http", "127.0.0.1:0")
    assert (done.returncode, "at most 107 bytes [storage]" in done.stderr) == (1, True)


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    with serving("--http", "0.0.0.0:0", TINY) as serve:
        _, port = serve.address
        own = requests.get(f"http://127.0.0.1:{port}/v1/models/tiny", timeout=20)
        assert own.status_code == 200
    assert Settings().http == "127.0.0.1:8501"


LISTENING = """
import os, socket, sys
names = sys.argv[2].split(":")
for at, (name, where) in enumerate(zip(names, sys.argv[3:])):
    if where.isdigit():
        held = socket.socket(fileno=int(where))
    else:
        held = socket.socket(socket.AF_UNIX)
        held.bind(where); held.listen()
    os.dup2(held.detach(), 20 + at)
for at in range(len(names)):
    os.dup2(20 + at, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)),
    LISTEN_FDNAMES=":".join(names))
os.execv(sys.executable, [sys.executable, "-m", "littoral_serve", "--json", "--data", sys.argv[1]])
"""


@contextlib.contextmanager
def handed(device: Device, names: str, *where: Path | socket.socket) -> Iterator[str]:
    """Serve with sockets from outside, as systemd names and passes them; give its address."""
    fds = [one.fileno() for one in where if isinstance(one, socket.socket)]
    words = [str(one if isinstance(one, Path) else one.fileno()) for one in where]
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, str(device.tree.root), names, *words],
        stdout=subprocess.PIPE,
        pass_fds=fds,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["http"]
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_sockets_may_be_handed_over(device: Device, tmp_path: Path) -> None:
    """Two units of systemd: what one listens on bears one name, whatever it is."""
    device.good(device.add("digits", release=3))
    orders, local = tmp_path / "orders.sock", tmp_path / "local.sock"
    first, second = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    with (
        first,
        second,
        handed(device, "control:clients:clients:clients", orders, local, first, second) as http,
    ):
        assert http == f"127.0.0.1:{first.getsockname()[1]}"
        for port in (first.getsockname()[1], second.getsockname()[1]):
            url = f"http://127.0.0.1:{port}/v1/models/digits"
            assert requests.get(url, timeout=20).status_code == 200
        assert ask(orders, "GET", "/control/state")[1]["http"] == http
        assert ask(local, "GET", "/v1/models/digits")[0] == 200
        assert not device.tree.control.exists()
        assert not device.tree.serve.exists()
    assert orders.is_socket(), "it was not serve's to remove"
    assert local.is_socket()


def test_who_connects_while_serve_restarts_is_answered(device: Device, tmp_path: Path) -> None:
    device.good(device.add("digits", release=3))
    request = b"GET /v1/models/digits HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with handed(device, "control:clients", tmp_path / "1.sock", listener):
            pass
        with socket.create_connection(listener.getsockname(), timeout=patient(20)) as client:
            client.sendall(request)
            with handed(device, "control:clients", tmp_path / "2.sock", listener):
                assert client.recv(100).startswith(b"HTTP/1.1 200")
