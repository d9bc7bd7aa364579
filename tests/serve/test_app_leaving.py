"""What serve leaves behind, in hours and in the end: no memory, no process, nothing open."""

import json
import socket
import time
from pathlib import Path

import pytest
import requests

from simulators.served import LONG, Device, Serve, alive, ask, children, model, serving, wait_until


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def test_memory_does_not_grow_with_requests_and_switches(device: Device) -> None:
    releases = [device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))]
    with serving(f"--data={device.tree.root}") as serve, requests.Session() as session:
        document = {"instances": [[[[0.5]] * 8] * 8]}
        resident: list[int] = []
        for _ in range(3):
            for k in range(60):
                order = releases[k % 2].order
                assert ask(device.tree.control, "POST", "/control/activate", order)[0] == 200
                url = f"{serve.url}/v1/models/digits:predict"
                assert session.post(url, json=document, timeout=20).status_code == 200
            resident.append(serve.kib())
        assert resident[-1] - resident[0] < 2048, resident


def test_a_trial_does_not_outlive_serve(device: Device) -> None:
    release = device.add("digits", repeat=LONG)
    body = json.dumps({**release.order, "hardware": "cpu-x86_64", "deadline_s": 60})
    serve = Serve("--http", "127.0.0.1:0", f"--data={device.tree.root}")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(device.tree.control))
        head = f"POST /control/try HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        peer.sendall((head + body).encode())
        wait_until(lambda: children(serve))
        (child,) = children(serve)
        time.sleep(0.5)
        assert alive(child)
        serve.kill()
        wait_until(lambda: not alive(child), within_s=1)
    serve.stop()


def test_it_closes_what_it_opened(device: Device) -> None:
    release = device.add("digits")
    with serving(f"--data={device.tree.root}") as serve:
        folder = Path(f"/proc/{serve.process.pid}/fd")

        def opened() -> int:
            return len(list(folder.iterdir()))

        ask(device.tree.control, "POST", "/control/activate", release.order)
        before = opened()
        for _ in range(20):
            order = {**release.order, "hardware": "cpu-x86_64", "deadline_s": 0.01}
            ask(device.tree.control, "POST", "/control/try", order)
        wait_until(lambda: opened() <= before + 1)
