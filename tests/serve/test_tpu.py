"""A device with an Edge TPU, whole: what is served while its stick comes and goes."""

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("flatbuffers")
pytest.importorskip("httptools")

from littoral import records
from littoral.bundle.manifest import Requires, Variant
from littoral.wire.control import Activated, Serving, Tried
from simulators import edgetpu
from simulators.edgetpu import Sticks
from simulators.edgetpu_compiled import Package, compiled
from simulators.served import (
    HARDWARE,
    Device,
    Release,
    Serve,
    alive,
    ask,
    children,
    model,
    noise,
    order,
    serving,
    wait_until,
)

TINY = model("tiny_int8")
COMPILED = compiled(TINY, package=Package(runtime=13))
CORAL = Variant(
    id="coral",
    engine="tflite",
    files=("compiled.tflite",),
    delegate="edgetpu",
    golden="coral.bin",
    requires=Requires(hardware=("edgetpu-usb",)),
)
TWIN = Variant(
    id="twin", engine="tflite", files=("model.tflite",), requires=Requires(hardware=(HARDWARE,))
)
SETTINGS = "edgetpu_invoke_s = 1.0\nwindow_s = 1.0\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return edgetpu.build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def sticks(library: Path) -> Sticks:
    return edgetpu.plugged(library)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def coral(device: Device) -> Release:
    return put(device)


def put(
    device: Device,
    *,
    release: int = 1,
    variants: tuple[Variant, ...] = (CORAL, TWIN),
    twin_answers: bytes | None = None,
    budgets: dict[str, float] | None = None,
) -> Release:
    """Put a release here as it is published for an Edge TPU, with its twin."""
    plain = device.add("digits", release=release)
    (spec,) = plain.manifest.outputs
    size = int(np.prod(spec.shape))
    asked = noise(plain.manifest.inputs, 4)
    golden = b"".join(edgetpu.answer(one.tobytes(), size) for (one,) in asked)
    files = {**plain.manifest.files, "compiled.tflite": device.blob(COMPILED)}
    files["coral.bin"] = device.blob(golden)
    test = replace(plain.manifest.selftest, p95_cpu_us=budgets or {})
    if twin_answers is not None:
        files["outputs.bin"] = device.blob(twin_answers)
    return device.put(replace(plain.manifest, files=files, variants=variants, selftest=test))


@pytest.fixture
def serve(device: Device, library: Path, tmp_path: Path, sticks: Sticks) -> Iterator[Serve]:
    assert sticks.library == library
    with running(device, library, tmp_path) as found:
        yield found


def running(device: Device, library: Path, folder: Path, settings: str = SETTINGS) -> Any:
    told = folder / "serve.toml"
    told.write_text(settings)
    environment = {"LD_LIBRARY_PATH": str(library)}
    options = (f"--data={device.tree.root}", f"--settings={told}")
    return serving(*options, environment=environment)


def predict(serve: Serve) -> tuple[int, list[list[float]]]:
    """Ask for one answer over HTTP, on a connection of its own."""
    connection = http.client.HTTPConnection(*serve.address, timeout=30)
    try:
        rows = np.zeros((1, 8, 8, 1)).tolist()
        connection.request("POST", "/v1/models/digits:predict", json.dumps({"instances": rows}))
        response = connection.getresponse()
        return response.status, json.loads(response.read()).get("predictions", [])
    finally:
        connection.close()


def state(device: Device) -> Serving:
    status, reply = ask(device.tree.control, "GET", "/control/state")
    assert status == 200, reply
    return records.fill(Serving, reply)


def instead(device: Device) -> str | None:
    (one,) = state(device).models
    return one.instead


def on_tpu(device: Device) -> bool:
    return instead(device) is None


def tried(device: Device, release: Release, **changes: object) -> tuple[int, dict[str, Any]]:
    asked = {**release.order, "hardware": "edgetpu-usb", "deadline_s": 30.0, **changes}
    status, reply = ask(device.tree.control, "POST", "/control/try", asked)
    return status, reply


def test_a_candidate_is_tried_and_runs_on_the_tpu_in_a_process_of_its_own(
    device: Device, coral: Release, serve: Serve
) -> None:
    status, reply = tried(device, coral)
    assert status == 200, reply
    assert records.fill(Tried, reply).code is None
    order(device, "activate", Activated, coral.order)
    (one,) = state(device).models
    assert (one.variant, one.instead) == ("coral", None)
    assert predict(serve)[0] == 200
    (child,) = children(serve)
    assert "littoral_serve.tpu.child" in Path(f"/proc/{child}/cmdline").read_text()
    maps = Path(f"/proc/{serve.process.pid}/maps").read_text()
    assert "libedgetpu" not in maps


def test_no_request_fails_while_the_stick_is_pulled_and_plugged_in_again(
    device: Device, coral: Release, serve: Serve, sticks: Sticks
) -> None:
    order(device, "activate", Activated, coral.order)
    stop, statuses = threading.Event(), []
    failures: list[BaseException] = []

    def ask_on() -> None:
        try:
            while not stop.is_set():
                statuses.append(predict(serve)[0])
        except OSError as e:
            failures.append(e)

    askers = [threading.Thread(target=ask_on) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        before, compiled_answer = len(statuses), predict(serve)[1]
        sticks.plug()
        sticks.fault("abort")
        wait_until(lambda: instead(device) == "twin")
        wait_until(lambda: state(device).models[0].lost)
        other = predict(serve)[1]
        sticks.fault("")
        sticks.plug("usb 2-1")
        wait_until(lambda: on_tpu(device), within_s=20)
        assert predict(serve)[1] == compiled_answer != other
        assert len(statuses) > before
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert not failures
    assert set(statuses) == {200}
    (one,) = state(device).models
    assert one.errors == 0
    assert one.requests >= len(statuses)
    found: set[str] = set()

    def both() -> bool:
        _, told = ask(device.tree.control, "GET", "/control/timings?after=0")
        found.update(t["variant"] for w in told["windows"] for t in w["timings"])
        return found == {"coral", "twin"}

    wait_until(both)


def test_serve_starts_without_its_stick_and_takes_it_when_it_comes(
    device: Device, coral: Release, library: Path, tmp_path: Path, sticks: Sticks
) -> None:
    sticks.plug()
    device.good(coral)
    with running(device, library, tmp_path) as serve:
        assert predict(serve)[0] == 200
        assert instead(device) == "twin"
        sticks.plug("usb 2-1")
        wait_until(lambda: on_tpu(device), within_s=20)
        assert predict(serve)[0] == 200


def test_requests_go_to_the_twin_while_a_candidate_is_tried(
    device: Device,
    coral: Release,
    serve: Serve,
    sticks: Sticks,
) -> None:
    order(device, "activate", Activated, coral.order)
    (child,) = children(serve)
    candidate = put(device, release=2)
    sticks.fault("slow 40")
    found: list[tuple[int, dict[str, Any]]] = []
    trial = threading.Thread(target=lambda: found.append(tried(device, candidate)))
    trial.start()
    wait_until(lambda: instead(device) == "twin")
    assert not state(device).models[0].lost
    wait_until(lambda: not alive(child))
    assert predict(serve)[0] == 200
    assert trial.is_alive()
    sticks.fault("")
    trial.join(30)
    ((status, reply),) = found
    assert (status, reply.get("code")) == (200, None), reply
    wait_until(lambda: on_tpu(device), within_s=20)
    order(device, "activate", Activated, candidate.order)
    assert predict(serve)[0] == 200


def test_a_candidate_that_ends_its_process_leaves_the_good_release_on_the_tpu(
    device: Device, coral: Release, serve: Serve, sticks: Sticks
) -> None:
    order(device, "activate", Activated, coral.order)
    sticks.fault("abort")
    status, reply = tried(device, coral)
    assert (status, reply["code"]) == (200, "crash")
    sticks.fault("")
    wait_until(lambda: on_tpu(device), within_s=20)
    assert predict(serve)[0] == 200


def test_a_release_whose_twin_is_wrong_is_no_release(device: Device, serve: Serve) -> None:
    """It would answer as soon as the stick is pulled."""
    assert serve.ready
    status, reply = tried(device, put(device, twin_answers=bytes(40)))
    assert (status, reply["code"]) == (200, "outputs"), reply
    assert reply["detail"].startswith("its twin twin: outputs differ")


def test_a_model_for_a_newer_library_is_refused_before_the_tpu_is_opened(
    device: Device, coral: Release, serve: Serve, sticks: Sticks
) -> None:
    assert serve.ready
    sticks.version(12)
    sticks.plug()
    status, reply = tried(device, coral)
    assert (status, reply["code"]) == (409, "wrong-runtime")
    assert "runtime version 13" in reply["error"]


def test_without_a_twin_requests_are_told_and_no_fault_is_the_models(
    device: Device,
    library: Path,
    tmp_path: Path,
    sticks: Sticks,
) -> None:
    alone = put(device, variants=(CORAL,))
    sticks.plug()
    device.good(alone)
    with running(device, library, tmp_path) as serve:
        wait_until(lambda: predict(serve)[0] != 200)
        status, reply = ask(device.tree.control, "POST", "/control/probe", {"model": "digits"})
        assert (status, reply["code"]) == (409, "unreachable")
        sticks.plug("usb 2-1")
        wait_until(lambda: predict(serve)[0] == 200, within_s=20)


def test_what_is_unloaded_lets_the_tpu_go(device: Device, coral: Release, serve: Serve) -> None:
    order(device, "activate", Activated, coral.order)
    (child,) = children(serve)
    order(device, "deactivate", Activated, {"model": "digits"})
    wait_until(lambda: not alive(child))


def test_each_of_two_sticks_has_a_child_and_either_is_enough(
    device: Device, coral: Release, serve: Serve, sticks: Sticks
) -> None:
    sticks.plug("usb 2-1", "usb 2-2")
    order(device, "activate", Activated, coral.order)
    wait_until(lambda: len(children(serve)) == 2)
    for port in ("2-1", "2-2"):
        sticks.fault(f"{port} abort")
        assert {predict(serve)[0] for _ in range(4)} == {200}
    (one,) = state(device).models
    assert one.errors == 0


def test_another_delegate_is_the_settings_to_name_and_runs_in_a_child_too(
    device: Device, library: Path, tmp_path: Path, sticks: Sticks
) -> None:
    npu = replace(CORAL, id="npu", delegate="npu", requires=Requires(hardware=(HARDWARE,)))
    release = put(device, variants=(npu, TWIN))
    asked = {"hardware": HARDWARE}
    with running(device, library, tmp_path) as serve:
        status, reply = tried(device, release, **asked)
        assert (status, reply["code"]) == (409, "backend-missing")
    named = f'delegates = ["npu={library / edgetpu.LIBRARY}"]'
    with running(device, library, tmp_path, SETTINGS + named) as serve:
        needs = {"engine": "tflite", "delegate": "npu"}
        assert ask(device.tree.control, "POST", "/control/runtime", needs)[0] == 200
        status, reply = tried(device, release, **asked)
        assert (status, reply.get("code")) == (200, None), reply
        order(device, "activate", Activated, release.order)
        assert instead(device) is None
        assert predict(serve)[0] == 200
        sticks.fault("abort")
        assert {predict(serve)[0] for _ in range(3)} == {200}
        sticks.fault("")
        wait_until(lambda: instead(device) is None, within_s=20)


def test_a_delegate_that_takes_nothing_over_fails_the_candidate(
    device: Device, tmp_path: Path
) -> None:
    npu = replace(CORAL, id="npu", delegate="npu", requires=Requires(hardware=(HARDWARE,)))
    release = put(device, variants=(replace(npu, files=("model.tflite",)), TWIN))
    idle = edgetpu.build(tmp_path, "IDLE")
    named = f'delegates = ["npu={idle / edgetpu.LIBRARY}"]'
    with running(device, idle, tmp_path, SETTINGS + named):
        status, reply = tried(device, release, hardware=HARDWARE)
    assert (status, reply["code"]) == (200, "not-delegated")


def test_a_budget_is_for_the_tpus_time_and_not_for_the_processors(
    device: Device, serve: Serve, sticks: Sticks
) -> None:
    assert serve.ready
    sticks.fault("slow 20")
    quick = put(device, budgets={"edgetpu-usb": 15_000.0})
    status, reply = tried(device, quick)
    assert (status, reply["code"]) == (200, "latency"), reply
    assert reply["p95_cpu_us"] > 20_000
