"""What the agent hears of a release that answers: probes, timings, errors."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from littoral import records
from littoral.bundle.manifest import Tolerance
from littoral.model.backends import open_session
from littoral.wire.control import Timings, Tried
from littoral.wire.sketch import Sketch
from simulators.ordered import activate, predict, runs, state
from simulators.served import HARDWARE, Device, Serve, ask, model, order, serving, wait_until


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def serve(device: Device) -> Iterator[Serve]:
    settings = device.tree.root / "serve.toml"
    settings.write_text("window_s = 0.3\n")
    with serving(f"--data={device.tree.root}") as running:
        yield running


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
