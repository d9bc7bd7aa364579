"""Candidates in their trial: honest ones, wrong ones, and those that mean harm.

Everything is asked of both ways to start one: as serve's child, and by systemd.
"""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral import records
from littoral.bundle.manifest import Tolerance
from littoral.wire.control import Failure, Serving, Tried
from littoral_serve.trials.trial import DENIED, MAX_BYTES
from littoral_serve.trials.trying import End, UntriedError, verdict
from patience import patient
from simulators.served import (
    HARDWARE,
    LONG,
    Device,
    Release,
    Serve,
    alive,
    ask,
    model,
    serving,
    wait_until,
)
from simulators.units import trials, trials_by_systemd


@pytest.fixture(scope="module", params=["child", "systemd"])
def way(request: pytest.FixtureRequest) -> str:
    """Who starts the trial."""
    return str(request.param)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    return Device(tmp_path_factory.mktemp("trial") / "data")


@pytest.fixture(scope="module")
def serve(device: Device, way: str) -> Iterator[Serve]:
    device.good(device.add("steady"))
    (device.tree.root / "serve.toml").write_text("trial_address_space_bytes = 1_000_000_000\n")
    with ExitStack() as held:
        if way == "systemd":
            held.enter_context(trials_by_systemd(device.tree.trial))
        yield held.enter_context(serving(f"--data={device.tree.root}"))


@pytest.fixture(autouse=True)
def _unharmed(device: Device, serve: Serve) -> Iterator[None]:
    """Whatever a candidate does, serve goes on with what it served."""
    before = state(device)
    yield
    after = state(device)
    assert (after.instance, after.pid) == (before.instance, serve.process.pid)
    assert [one.model for one in after.models] == ["steady"]
    assert ask(device.tree.serve, "GET", "/v1/models/steady")[0] == 200


def state(device: Device) -> Serving:
    return records.fill(Serving, ask(device.tree.control, "GET", "/control/state")[1])


def tried(device: Device, release: Release, *, deadline_s: float = 30.0) -> Tried:
    order = {**release.order, "hardware": HARDWARE, "deadline_s": deadline_s}
    status, reply = ask(device.tree.control, "POST", "/control/try", order)
    assert status == 200, reply
    return records.fill(Tried, reply)


def changed(release: Release, device: Device, **changes: Any) -> Release:
    test = replace(release.manifest.selftest, **changes)
    return device.put(replace(release.manifest, selftest=test))


def test_an_honest_candidate_passes_with_its_figures(device: Device) -> None:
    done = tried(device, device.add("digits"))
    assert (done.code, done.detail) == (None, "")
    assert (done.max_abs, done.top1) == (0.0, 1.0)
    assert done.p95_cpu_us is not None
    assert 1 < done.p95_cpu_us < 10_000
    assert done.peak_bytes is not None
    assert 0 < done.peak_bytes < 200 * 2**20


def test_other_outputs_than_golden_are_told(device: Device) -> None:
    done = tried(device, device.add("digits", data=model("tiny_int8_b")))
    assert done.code == "outputs"
    assert "outputs differ from the golden ones by up to" in done.detail
    assert done.max_abs is not None
    assert done.max_abs > 0.01
    assert done.p95_cpu_us is not None


def test_a_blown_latency_budget_is_told(device: Device) -> None:
    slow = changed(device.add("digits"), device, p95_cpu_us={HARDWARE: 0.5})
    done = tried(device, slow)
    assert done.code == "latency"
    assert "the budget is 0 µs" in done.detail


def test_a_blown_memory_budget_is_told(device: Device) -> None:
    done = tried(device, changed(device.add("digits"), device, memory_bytes=1))
    assert (done.code, done.max_abs) == ("memory", 0.0)


def test_a_trial_that_does_not_end_is_ended(device: Device, serve: Serve) -> None:
    start = time.monotonic()
    done = tried(device, device.add("digits", repeat=LONG), deadline_s=0.5)
    assert (done.code, done.detail) == ("deadline", "it did not end within 0.5 s")
    assert time.monotonic() - start < patient(2)
    assert trials(device.tree) == []
    assert alive(str(serve.process.pid))


def test_a_trial_is_started_by_whom_it_should_be(device: Device, serve: Serve, way: str) -> None:
    with trying(device, device.add("digits", repeat=LONG), deadline_s=2) as trial:
        status = (Path("/proc") / trial / "status").read_text()
        child = f"PPid:\t{serve.process.pid}\n" in status
        assert child is (way == "child")


def test_a_trial_has_little(device: Device) -> None:
    with trying(device, device.add("digits", repeat=LONG), deadline_s=2) as trial:
        folder = Path("/proc") / trial
        wait_until(lambda: "Max cpu time              2 " in (folder / "limits").read_text())
        wait_until(lambda: "Max core file size        0" in (folder / "limits").read_text())
        limits = (folder / "limits").read_text()
        for line in ("Max address space         1000000000", "Max open files            64"):
            assert line in limits
        wait_until(lambda: "Max file size             0" in (folder / "limits").read_text())
        assert (folder / "oom_score_adj").read_text() == "1000\n"
        assert "NoNewPrivs:\t1" in (folder / "status").read_text()
        assert (folder / "stat").read_text().rpartition(")")[2].split()[16] == "10"  # nice


@contextmanager
def trying(device: Device, release: Release, *, deadline_s: float) -> Iterator[str]:
    """Give the process id of a trial while it runs."""
    order = {**release.order, "hardware": HARDWARE, "deadline_s": deadline_s}
    thread = threading.Thread(target=ask, args=(device.tree.control, "POST", "/control/try", order))
    thread.start()
    wait_until(lambda: trials(device.tree))
    try:
        yield trials(device.tree)[0]
    finally:
        thread.join()


def surgery(change: Callable[[Any], None]) -> bytes:
    """Return the tiny model with one thing changed, a valid flatbuffer all the same."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    root = schema.ModelT.InitFromPackedBuf(model("tiny_int8"), 0)
    change(root)
    builder = flatbuffers.Builder(0)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def far_too_large(root: Any) -> None:
    graph = root.subgraphs[0]
    graph.tensors[int(graph.inputs[0])].shape = np.array([1, 30_000, 30_000, 1], np.int32)


def test_a_model_that_ends_its_process_is_a_crash(device: Device) -> None:
    crashing = [surgery(zero_scale(k)) for k in (17, 24, 26)]
    found = [tried(device, device.add("digits", data=data)) for data in crashing]
    assert {done.code for done in found} <= {"crash", "backend"}
    crashed = [done for done in found if done.code == "crash"]
    assert crashed, "this runtime survives them all: find another one"
    assert "the process was ended by SIGABRT" in crashed[0].detail


def zero_scale(index: int) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        found = root.subgraphs[0].tensors[index].quantization
        found.scale = [0.0] * len(found.scale)

    return change


def test_a_model_that_wants_all_memory_gets_none(device: Device) -> None:
    done = tried(device, device.add("digits", data=surgery(far_too_large)))
    assert done.code in {"memory", "backend"}


def mutants() -> Iterator[bytes]:
    data = model("tiny_int8")
    rng = np.random.default_rng(11)
    for size in (0, 1, 8, 500, 4000, len(data) - 1):
        yield data[:size]
    for _ in range(14):
        changed = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            changed[at] = int(rng.integers(256))
        yield bytes(changed)


def test_no_mutant_passes_unless_it_answers_as_it_must(device: Device) -> None:
    codes = [tried(device, device.add("digits", data=data)).code for data in mutants()]
    assert {"backend", "outputs"} <= set(codes)
    assert set(codes) <= {"backend", "outputs", "crash", "memory", "deadline", None}


def test_two_trials_wait_for_each_other_and_serving_for_none(device: Device) -> None:
    release = device.add("digits")
    found: list[Tried] = []
    threads = [
        threading.Thread(target=lambda: found.append(tried(device, release))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        start = time.perf_counter()
        assert ask(device.tree.serve, "GET", "/v1/models/steady")[0] == 200
        waits.append(time.perf_counter() - start)
    assert [done.code for done in found] == [None, None]
    assert sorted(waits)[len(waits) // 2] < 0.1


def test_a_trial_is_ended_when_nobody_waits_for_it(device: Device) -> None:
    order = {**device.add("digits", repeat=LONG).order, "hardware": HARDWARE, "deadline_s": 60}
    body = records.to_json(order)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(device.tree.control))
        head = f"POST /control/try HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        peer.sendall(head.encode() + body)
        wait_until(lambda: trials(device.tree))
        (trial,) = trials(device.tree)
        time.sleep(0.5)
        assert alive(trial)
    wait_until(lambda: not alive(trial), within_s=1)


@pytest.mark.parametrize(
    ("end", "code", "detail"),
    [
        (End(status=None, out=b"", err=""), "deadline", "it did not end within 7 s"),
        (End(status=-signal.SIGXCPU, out=b"", err=""), "deadline", "within 7 s of CPU time"),
        (End(status=-signal.SIGSEGV, out=b"", err="a\nlast"), "crash", "ended by SIGSEGV: last"),
        (End(status=-signal.SIGKILL, out=b"", err=""), "memory", "out of memory"),
        (End(status=-signal.SIGABRT, out=b"", err="std::bad_alloc"), "memory", "SIGABRT"),
        (End(status=1, out=b"", err="MemoryError"), "memory", "ended with 1"),
        (End(status=1, out=b"", err=""), "crash", "the process ended with 1"),
        (End(status=0, out=b"", err=""), "crash", "the process ended with 0"),
        (End(status=0, out=b"{}" * MAX_BYTES, err=""), "crash", "the process ended with 0"),
        (End(status=0, out=b'{"code": 3}', err=""), "crash", "the process ended with 0"),
        (End(status=DENIED, out=b"junk", err=""), "crash", "the process ended with 3"),
        (End(status=-40, out=b"", err=""), "crash", "ended by signal 40"),
    ],
)
def test_every_end_has_its_code(end: End, code: str, detail: str) -> None:
    found = verdict(end, deadline_s=7)
    assert found.code == code
    assert detail in found.detail


def test_what_the_child_says_is_passed_on() -> None:
    said = Tried(code="outputs", max_abs=2.0)
    assert verdict(End(status=0, out=records.to_json(said), err=""), deadline_s=1) == said
    failure = records.to_json(Failure(code="hash", error="bits"))
    with pytest.raises(UntriedError, match="bits") as denied:
        verdict(End(status=DENIED, out=failure, err=""), deadline_s=1)
    assert denied.value.failure.code == "hash"


def test_a_tolerance_that_allows_much_lets_much_pass(device: Device) -> None:
    lax = changed(
        device.add("digits", data=model("tiny_int8_b")),
        device,
        tolerance=Tolerance(max_abs=2.0, min_top1=0.0),
    )
    assert tried(device, lax).code is None
