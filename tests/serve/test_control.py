"""The agent's orders, over the control socket of a real serve."""

import asyncio
import base64
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from littoral import records
from littoral.bundle.runtimes import Range
from littoral.model.backends import open_session
from littoral.wire.control import Activated, Runtime
from littoral.wire.sketch import Sketch
from littoral_serve import control
from littoral_serve.http.messages import Request
from littoral_serve.running import live, loading
from littoral_serve.running.timings import Timings as MeterTimings
from littoral_serve.settings import Settings
from littoral_serve.tpu import Tpus
from simulators.ordered import activate, body, image, predict, runs, state
from simulators.served import Device, Serve, ask, model, order, serving, wait_until


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def serve(device: Device) -> Iterator[Serve]:
    settings = device.tree.root / "serve.toml"
    settings.write_text("window_s = 0.3\n")
    with serving(f"--data={device.tree.root}") as running:
        yield running


def test_what_is_activated_answers_and_is_told(device: Device, serve: Serve) -> None:
    assert state(device).models == ()
    release = device.add("digits", release=7)
    done = activate(device, release)
    assert (done.model, done.release) == ("digits", 7)
    assert done.load_ms > 0
    assert runs(serve, "tiny_int8")
    told = state(device)
    assert (told.pid, told.http) == (serve.process.pid, serve.ready["http"])
    (loaded,) = told.models
    assert (loaded.release, loaded.manifest, loaded.requests) == (7, release.sha256, 1)
    assert Sketch.decode(base64.b64decode(loaded.invoke)).count == 1
    status = requests.get(
        f"{serve.url}/v1/models/digits/labels/1.7%2B{os.getpid()}", timeout=20
    ).json()
    assert status["model_version_status"][0]["version"] == "7"


def test_activating_what_runs_changes_nothing(device: Device, serve: Serve) -> None:
    release = device.add("digits")
    activate(device, release)
    predict(serve)
    since = state(device).models[0].since_ms
    assert activate(device, release).release == 1
    (loaded,) = state(device).models
    assert (loaded.since_ms, loaded.requests) == (since, 1)


def test_a_switch_counts_from_zero_and_back_is_at_once(device: Device, serve: Serve) -> None:
    one, two = device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))
    activate(device, one)
    predict(serve)
    activate(device, two)
    assert state(device).models[0].requests == 0
    assert runs(serve, "tiny_int8_b")
    for file in device.tree.blobs.glob("[!.]*"):
        file.unlink()  # the one before is still loaded
    assert activate(device, one).release == 1
    assert runs(serve, "tiny_int8")
    assert state(device).models[0].requests == 1


def test_what_was_ordered_is_done_though_the_agent_is_gone(device: Device, serve: Serve) -> None:
    order = records.to_json(device.add("digits", release=3).order)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(device.tree.control))
        head = f"POST /control/activate HTTP/1.1\r\nHost: x\r\nContent-Length: {len(order)}\r\n\r\n"
        peer.sendall(head.encode() + order)
    wait_until(lambda: [one.release for one in state(device).models] == [3])
    assert runs(serve, "tiny_int8")


def test_deactivating_leaves_nothing_under_the_name(device: Device, serve: Serve) -> None:
    activate(device, device.add("digits"))
    activate(device, device.add("other"))
    done = order(device, "deactivate", Activated, {"model": "digits"})
    assert (done.model, done.release) == ("digits", None)
    response = requests.post(f"{serve.url}/v1/models/digits:predict", json=body(), timeout=20)
    assert response.status_code == 404
    assert [one.model for one in state(device).models] == ["other"]
    assert order(device, "deactivate", Activated, {"model": "digits"}).release is None


@pytest.mark.usefixtures("serve")
def test_local_programs_are_answered_on_the_unix_socket(device: Device) -> None:
    activate(device, device.add("digits"))
    status, reply = ask(device.tree.serve, "POST", "/v1/models/digits:predict", body())
    assert status == 200
    assert (
        reply["predictions"] == open_session("litert", model("tiny_int8")).run(image())[0].tolist()
    )


@pytest.mark.usefixtures("serve")
def test_serve_says_what_would_run_a_variant(device: Device) -> None:
    needs = {"engine": "tflite", "operators": {"CONV_2D": 1, "ADD": 99}}
    found = order(device, "runtime", Runtime, needs)
    assert found.name == "litert"
    assert Range.parse("litert>=1.0").admits(found.version)
    assert found.unknown.keys() == {"ADD"}
    assert 1 <= found.unknown["ADD"] < 99


def test_a_load_that_never_ends_ends_serve_which_starts_with_what_is_proven(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing could be loaded any more, not even the release before."""
    released, ended = threading.Event(), []

    def end(code: int) -> None:
        ended.append(code)
        released.set()
        raise SystemExit

    monkeypatch.setattr(loading, "load", lambda *_, **__: released.wait(60))
    monkeypatch.setattr(control, "_LOAD_S", 0.05)
    monkeypatch.setattr(os, "_exit", end)
    asked = control.Control(
        device.tree.root,
        models=live.Models(keep_previous_free_bytes=0),
        timings=MeterTimings(backlog_bytes=1000),
        settings=Settings(),
        resources=live.Resources(),
        tpus=Tpus(Settings()),
        http="127.0.0.1:0",
    )
    body = records.to_json(device.add("digits").order)
    with pytest.raises(SystemExit):
        asyncio.run(asked.handle(Request("POST", b"/control/activate", {}, body, False, 0)))  # noqa: FBT003
    assert ended == [70]


def test_where_free_memory_is_not_told_only_one_release_is_held(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_MEMINFO", device.tree.root / "none")
    models = live.Models(keep_previous_free_bytes=1)
    first, second = (device.add("digits", release=n) for n in (1, 2))
    for release in (first, second):
        which = {"manifest": release.sha256, "variant": "cpu-int8"}
        models.switch(
            loading.load(device.tree, model="digits", **which, resources=live.Resources())
        )
    assert [one.release for one in models] == [2]
    assert models.held("digits", manifest=first.sha256, variant="cpu-int8") is None
