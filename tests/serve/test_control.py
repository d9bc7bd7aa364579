"""The agent's orders, over the control socket of a real serve, while clients keep asking."""

import asyncio
import base64
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from littoral import records
from littoral.bundle.manifest import Tensor, Tolerance
from littoral.bundle.runtimes import Range
from littoral.model import tensors
from littoral.model.backends import open_session
from littoral.wire.control import Activated, Runtime, Serving, Timings, Tried
from littoral.wire.sketch import Sketch
from littoral_serve import control
from littoral_serve.http.messages import Request
from littoral_serve.running import live, loading
from littoral_serve.running.timings import Timings as MeterTimings
from littoral_serve.settings import Settings
from littoral_serve.tpu import Tpus
from simulators.served import (
    HARDWARE,
    Device,
    Release,
    Serve,
    ask,
    model,
    noise,
    order,
    serving,
    wait_until,
)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def serve(device: Device) -> Iterator[Serve]:
    settings = device.tree.root / "serve.toml"
    settings.write_text("window_s = 0.3\n")
    with serving(f"--data={device.tree.root}") as running:
        yield running


def image() -> Any:
    (sample,) = noise(open_session("litert", model("tiny_int8")).inputs, 1)
    return sample[0]


def answer(data: bytes) -> Any:
    """Return what a client must get for image() from the model ``data``."""
    session = open_session("litert", data)
    return tensors.dequantize(session.run(image())[0], session.outputs[0])


def body(count: int = 1) -> dict[str, Any]:
    return {"signature_name": "raw", "instances": image().tolist() * count}


def predict(serve: Serve) -> Any:
    """Return the reply to image() as float32, which JSON keeps to the last bit."""
    spec = open_session("litert", model("tiny_int8")).inputs[0]
    request = {"instances": tensors.dequantize(image(), spec).tolist()}
    response = requests.post(f"{serve.url}/v1/models/digits:predict", json=request, timeout=20)
    assert response.status_code == 200, response.text
    return np.array(response.json()["predictions"], np.float32)


def runs(serve: Serve, name: str) -> bool:
    return bool(np.array_equal(predict(serve), answer(model(name))))


def activate(device: Device, release: Release) -> Activated:
    return order(device, "activate", Activated, release.order)


def state(device: Device) -> Serving:
    status, reply = ask(device.tree.control, "GET", "/control/state")
    assert status == 200
    return records.fill(Serving, reply)


def denied(device: Device, call: str, wanted: object) -> tuple[int, str]:
    status, reply = ask(device.tree.control, "POST", f"/control/{call}", wanted)
    return status, reply["code"]


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


def test_a_flipped_bit_on_the_disk_is_found_on_every_load(device: Device, serve: Serve) -> None:
    one, two = device.add("digits"), device.add("digits", release=2, data=model("tiny_int8_b"))
    activate(device, one)
    blob = device.tree.blob(two.manifest.files["model.tflite"].sha256)
    data = bytearray(blob.read_bytes())
    data[5000] ^= 1
    blob.write_bytes(data)
    assert denied(device, "activate", two.order) == (409, "hash")
    assert denied(device, "try", {**two.order, "hardware": HARDWARE}) == (409, "hash")
    blob.write_bytes(data + b"more")
    assert denied(device, "activate", two.order) == (409, "hash")
    assert runs(serve, "tiny_int8")


@pytest.mark.usefixtures("serve")
def test_an_order_that_cannot_be_followed_says_why(device: Device) -> None:
    release = device.add("digits")
    good = release.order
    assert denied(device, "activate", {**good, "manifest": "0" * 64}) == (409, "storage")
    assert denied(device, "activate", {**good, "manifest": "../../x"}) == (409, "malformed")
    assert denied(device, "activate", {**good, "model": "other"}) == (409, "malformed")
    assert denied(device, "activate", {**good, "variant": "tpu"}) == (409, "malformed")
    assert denied(device, "activate", {**good, "extra": 1}) == (400, "malformed")
    assert denied(device, "activate", []) == (400, "malformed")
    assert denied(device, "nonsense", {}) == (404, "usage")
    assert denied(device, "probe", {"model": "digits"}) == (409, "storage")
    forged = device.tree.manifest(release.sha256)
    forged.write_bytes(forged.read_bytes().replace(b'"release":1', b'"release":2'))
    assert denied(device, "activate", good) == (409, "hash")


@pytest.mark.usefixtures("serve")
def test_a_blob_that_is_a_link_or_a_pipe_is_not_followed(device: Device) -> None:
    release = device.add("digits")
    blob = device.tree.blob(release.manifest.files["model.tflite"].sha256)
    elsewhere = blob.rename(blob.with_name("elsewhere"))
    blob.symlink_to(elsewhere)
    assert denied(device, "activate", release.order) == (409, "storage")
    blob.unlink()
    os.mkfifo(blob)
    assert denied(device, "activate", release.order) == (409, "storage")


@pytest.mark.usefixtures("serve")
def test_a_model_that_is_not_what_its_manifest_says_is_refused(device: Device) -> None:
    wrong = Tensor(name="image", shape=(1, 8, 8, 1), dtype="int8", scale=0.5, zero_point=-128)
    release = device.add("digits", inputs=(wrong,))
    assert denied(device, "activate", release.order) == (409, "backend")
    garbage = device.add("digits", data=b"garbage" * 100)
    assert denied(device, "activate", garbage.order) == (409, "backend")


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


def test_a_probe_runs_the_golden_vectors_on_what_serves(device: Device, serve: Serve) -> None:
    activate(device, device.add("digits"))
    done = order(device, "probe", Tried, {"model": "digits"})
    assert (done.code, done.max_abs, done.top1) == (None, 0.0, 1.0)
    assert done.p95_cpu_us is not None
    assert done.p95_cpu_us > 1
    assert state(device).models[0].requests == 0
    assert runs(serve, "tiny_int8")


def test_a_probe_finds_what_a_trial_would(device: Device, serve: Serve) -> None:
    activate(device, device.add("digits", data=model("tiny_int8_b")))
    done = order(device, "probe", Tried, {"model": "digits"})
    assert done.code == "outputs"
    assert "allowed: 0.01" in done.detail
    test = replace(
        device.add("digits").manifest.selftest,
        tolerance=Tolerance(max_abs=9, min_top1=0),
        p95_cpu_us={HARDWARE: 0.01},
    )
    activate(device, device.add("digits", release=3, selftest=test))
    assert order(device, "probe", Tried, {"model": "digits"}).code == "latency"
    assert runs(serve, "tiny_int8")


def windows(device: Device, after: int = 0) -> Timings:
    status, reply = ask(device.tree.control, "GET", f"/control/timings?after={after}")
    assert status == 200
    return records.fill(Timings, reply)


def test_timings_come_in_windows_and_are_forgotten_when_fetched(
    device: Device, serve: Serve
) -> None:
    activate(device, device.add("digits", release=4))
    for _ in range(10):
        predict(serve)
    wait_until(lambda: total(device) == 10)
    found = windows(device)
    assert found.instance == state(device).instance
    assert [w.sequence for w in found.windows] == list(range(1, len(found.windows) + 1))
    stages = {t.stage: t for t in found.windows[0].timings}
    assert stages.keys() == {"queue", "preprocess", "invoke", "postprocess"}
    invoke = stages["invoke"]
    assert (invoke.model, invoke.release, invoke.variant) == ("digits", 4, "cpu-int8")
    assert 1 < Sketch.decode(base64.b64decode(invoke.sketch)).quantile(0.5) < 50_000
    assert all(w.duration_ms >= 200 and w.errors == {} for w in found.windows)
    last = found.windows[-1].sequence
    assert windows(device, last).windows == ()
    assert windows(device).windows == ()
    predict(serve)
    wait_until(lambda: windows(device, last).windows != ())
    assert windows(device, last).windows[0].sequence == last + 1


def total(device: Device) -> int:
    """Count the invokes in the windows that are closed."""
    return sum(
        Sketch.decode(base64.b64decode(t.sketch)).count
        for w in windows(device).windows
        for t in w.timings
        if t.stage == "invoke"
    )


def test_only_the_models_own_errors_are_counted(device: Device, serve: Serve) -> None:
    picky = open_session("litert", model("picky"))
    release = device.add("picky", data=model("picky"), inputs=picky.inputs, outputs=picky.outputs)
    activate(device, release)
    url = f"{serve.url}/v1/models/picky:predict"
    for rows, status in (([0, 1], 200), ([0, 9], 500), ("x", 400), ([[0, 1]], 400)):
        assert requests.post(url, json={"inputs": rows}, timeout=20).status_code == status
    (loaded,) = state(device).models
    assert (loaded.requests, loaded.errors) == (2, 1)
    wait_until(lambda: windows(device).windows)
    assert windows(device).windows[0].errors == {"picky/1": 1}


@pytest.mark.usefixtures("serve")
def test_clients_cannot_be_answered_here_nor_orders_given_there(device: Device) -> None:
    assert ask(device.tree.control, "GET", "/v1/models/digits")[0] == 404
    status, _ = ask(device.tree.serve, "GET", "/v1/models/digits")
    assert status == 404


STRANGER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(b"GET /control/state HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(peer.recv(1000).decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.usefixtures("serve")
def test_a_stranger_on_the_control_socket_is_refused(device: Device) -> None:
    path = device.tree.control
    assert path.stat().st_mode & 0o777 == 0o660
    path.chmod(0o777)
    for folder in list(path.parents)[:-1]:
        folder.chmod(folder.stat().st_mode | 0o001)
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout.startswith("HTTP/1.1 403")


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


@pytest.mark.usefixtures("serve")
def test_what_nothing_runs_here_is_said_to_be_so(device: Device) -> None:
    needs = {"engine": "onnx", "delegate": "cuda"}
    status, reply = ask(device.tree.control, "POST", "/control/runtime", needs)
    assert (status, reply["code"]) == (409, "backend-missing")
    assert "onnx with cuda" in reply["error"]


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


def test_what_cannot_be_done_for_want_of_descriptors_is_no_releases_fault(
    device: Device, serve: Serve
) -> None:
    """Whichever step they are out at; what the agent cannot read it takes for a bad release."""
    release = device.add("digits")
    pid, codes = serve.process.pid, set()
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    order = {**release.order, "hardware": HARDWARE, "deadline_s": 30.0}
    assert ask(device.tree.control, "POST", "/control/try", order)[0] == 200
    used = max(int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir())
    for more in range(2, 40):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + more, most[1]))
        status, reply = ask(device.tree.control, "POST", "/control/try", order)
        codes.add(reply.get("code"))
        if status == 200:
            break
        assert reply["code"] in {"storage", "unreachable"}, reply
    resource.prlimit(pid, resource.RLIMIT_NOFILE, most)
    assert codes == {"storage", "unreachable", None}
    assert ask(device.tree.control, "POST", "/control/activate", release.order)[0] == 200


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
