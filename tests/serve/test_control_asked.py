"""Releases that are switched while clients ask."""

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from littoral.wire.sketch import Sketch
from simulators.ordered import activate, body, runs, state
from simulators.served import Device, Serve, model, serving, wait_until


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def serve(device: Device) -> Iterator[Serve]:
    settings = device.tree.root / "serve.toml"
    settings.write_text("window_s = 0.3\n")
    with serving(f"--data={device.tree.root}") as running:
        yield running


def test_no_request_fails_in_a_hundred_switches_under_load(device: Device, serve: Serve) -> None:
    releases = [device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))]
    url = f"{serve.url}/v1/models/digits:predict"
    allowed = []
    for release in releases:
        activate(device, release)
        allowed.append(requests.post(url, json=body(), timeout=20).json())
    assert allowed[0] != allowed[1]
    stop = threading.Event()
    answers = [0, 0]
    wrong: list[str] = []

    def client() -> None:
        with requests.Session() as session:
            while not stop.is_set():
                try:
                    reply = session.post(url, json=body(), timeout=20).json()
                    answers[allowed.index(reply)] += 1
                except (requests.RequestException, ValueError) as e:
                    wrong.append(repr(e))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for k in range(100):
        assert activate(device, releases[k % 2]).release == k % 2 + 1
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert min(answers) > 20


def test_a_request_ends_on_the_release_it_began_on(device: Device, serve: Serve) -> None:
    one, two = device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))
    activate(device, one)
    url = f"{serve.url}/v1/models/digits:predict"
    expected = requests.post(url, json=body(), timeout=20).json()["predictions"]
    found: list[Any] = []
    thread = threading.Thread(target=large_batch, args=(url, found))
    thread.start()
    wait_until(lambda: 1 < invokes(device) < 20_000)
    activate(device, two)
    assert not found, "the large request was over before the switch"
    thread.join()
    assert runs(serve, "tiny_int8_b")
    assert found == expected * 20_000


def large_batch(url: str, found: list[Any]) -> None:
    found += requests.post(url, json=body(20_000), timeout=60).json()["predictions"]


def invokes(device: Device) -> int:
    return Sketch.decode(base64.b64decode(state(device).models[0].invoke)).count


def test_others_are_answered_while_a_large_batch_runs(device: Device, serve: Serve) -> None:
    activate(device, device.add("digits"))
    found: list[Any] = []
    url = f"{serve.url}/v1/models/digits:predict"
    thread = threading.Thread(target=large_batch, args=(url, found))
    thread.start()
    wait_until(lambda: 0 < invokes(device) < 20_000)
    assert runs(serve, "tiny_int8")
    assert not found
    thread.join()
    assert len(found) == 20_000
