"""Candidates for ONNX Runtime in their trial: on the processor, and with a TensorRT of the test."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")

from littoral import records
from littoral.bundle.manifest import Requires, Tolerance, Variant
from littoral.model import selftest
from littoral.model.backends import open_session
from littoral.model.backends.border import AtBorder
from littoral.wire.control import Activated, Runtime, Tried
from littoral.wire.probes import missing, read
from simulators import tensorrt
from simulators.served import FIXTURES, HARDWARE, Device, Release, ask, noise, order, serving

QDQ, FLOAT = ((FIXTURES / f"tiny_{name}.onnx").read_bytes() for name in ("qdq", "float"))


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def add(device: Device, data: bytes, *hardware: Any, release: int = 1) -> Release:
    """Put a release here whose one variant is an ONNX model, with golden outputs of its own."""
    plain = device.add("digits", release=release).manifest
    session = AtBorder(open_session("onnx", data), inputs=plain.inputs, outputs=plain.outputs)
    answers = [session.run(*sample) for sample in noise(plain.inputs, 4)]
    files = {
        **plain.files,
        "model.onnx": device.blob(data),
        "onnx.bin": device.blob(selftest.pack(answers)),
    }
    variant = Variant(
        id="onnx",
        engine="onnx",
        files=("model.onnx",),
        golden="onnx.bin",
        requires=Requires(hardware=hardware, runtime="onnxruntime>=1.16"),
    )
    test = replace(plain.selftest, tolerance=Tolerance(max_abs=0.01))
    return device.put(replace(plain, files=files, variants=(variant,), selftest=test))


def tried(device: Device, release: Release, hardware: str) -> tuple[int, dict[str, Any]]:
    wanted = {**release.order, "hardware": hardware, "deadline_s": 60.0}
    return ask(device.tree.control, "POST", "/control/try", wanted)


def passed(device: Device, release: Release, hardware: str) -> Tried:
    status, reply = tried(device, release, hardware)
    assert status == 200, reply
    done = records.fill(Tried, reply)
    assert done.code is None, done
    return done


@pytest.mark.parametrize("data", [QDQ, FLOAT], ids=["qdq", "float"])
def test_on_the_processor_it_is_proven_by_golden_outputs_of_its_own(
    device: Device, data: bytes
) -> None:
    release = add(device, data, HARDWARE)
    with serving(f"--data={device.tree.root}") as serve:
        done = passed(device, release, HARDWARE)
        assert done.max_abs == 0.0
        assert order(device, "activate", Activated, release.order).release == 1
        status, reply = ask(device.tree.serve, "GET", "/v2/models/digits")
    assert (status, reply["inputs"][0]["name"]) == (200, "image")
    assert serve.process.returncode == 0


def test_a_runtime_without_a_gpu_is_told_before_a_byte_and_at_the_trial(device: Device) -> None:
    release = add(device, QDQ, "tensorrt")
    needs = {"engine": "onnx", "hardware": ["tensorrt"]}
    with serving(f"--data={device.tree.root}"):
        status, reply = ask(device.tree.control, "POST", "/control/runtime", needs)
        assert (status, reply["code"]) == (409, "backend-missing")
        assert "without TensorrtExecutionProvider" in reply["error"]
        assert tried(device, release, "tensorrt")[1]["code"] == "backend-missing"
        here = order(device, "runtime", Runtime, {**needs, "hardware": [HARDWARE]})
    assert here.name == "onnxruntime"


def test_an_engine_is_built_by_the_trial_and_neither_by_a_load_nor_a_start(
    device: Device, tmp_path: Path
) -> None:
    here = tmp_path / "tensorrt"
    environment = tensorrt.build(here)
    release = add(device, QDQ, "tensorrt")
    with serving(f"--data={device.tree.root}", environment=environment) as serve:
        passed(device, release, "tensorrt")
        (builder,) = tensorrt.builders(here)
        assert builder != serve.process.pid
        order(device, "activate", Activated, release.order)
        passed(device, release, "tensorrt")  # again: it is there
    device.good(release)
    with serving(f"--data={device.tree.root}", environment=environment) as serve:
        assert serve.ready["models"] == {"digits": 1}
    assert tensorrt.builders(here) == [builder]


def test_the_next_release_of_the_same_graph_has_an_engine_of_its_own(
    device: Device, tmp_path: Path
) -> None:
    """ONNX Runtime would take the first one's: it knows engines by the names in a graph."""
    here = tmp_path / "tensorrt"
    one, two = (
        add(device, data, "tensorrt", release=release)
        for release, data in enumerate((QDQ, QDQ.replace(b"tf2onnx", b"tf2onny")), 1)
    )
    with serving(f"--data={device.tree.root}", environment=tensorrt.build(here)):
        for release in (one, two):
            passed(device, release, "tensorrt")
            order(device, "activate", Activated, release.order)
    assert len(tensorrt.builders(here)) == 2


def test_what_fails_leaves_no_engine_and_another_tensorrt_builds_anew(
    device: Device, tmp_path: Path
) -> None:
    here, engines = tmp_path / "tensorrt", device.tree.root / "cache/engines"
    release = add(device, QDQ, "tensorrt")
    golden = device.tree.blob(release.manifest.files["onnx.bin"].sha256)
    data = golden.read_bytes()
    strict = replace(release.manifest.selftest, tolerance=Tolerance(max_abs=0.0))
    files = {**release.manifest.files, "onnx.bin": device.blob(bytes(len(data)))}
    wrong = device.put(replace(release.manifest, files=files, selftest=strict))
    with serving(f"--data={device.tree.root}", environment=tensorrt.build(here)):
        assert tried(device, wrong, "tensorrt")[1]["code"] == "outputs"
        assert list(engines.iterdir()) == []
        passed(device, release, "tensorrt")
    device.good(release)
    later = tensorrt.build(here, tensorrt=100900)
    with serving(f"--data={device.tree.root}", environment=later) as serve:
        assert tensorrt.builders(here)[-1] == serve.process.pid
    assert len(list(engines.iterdir())) == 2


def test_engines_go_with_the_files_that_they_were_built_of(device: Device, tmp_path: Path) -> None:
    engines, environment = device.tree.root / "cache/engines", tensorrt.build(tmp_path / "here")
    release = add(device, QDQ, "tensorrt")
    with serving(f"--data={device.tree.root}", environment=environment):
        passed(device, release, "tensorrt")
    assert len(list(engines.iterdir())) == 1
    device.tree.blob(release.manifest.files["model.onnx"].sha256).unlink()
    with serving(f"--data={device.tree.root}", environment=environment):
        assert list(engines.iterdir()) == []


def test_the_probe_says_which_gpu_it_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "littoral.model.probing", "nvidia"],
        capture_output=True,
        timeout=60,
        check=False,
        env=tensorrt.build(tmp_path / "tensorrt"),
    )
    taken = read(done.stdout)
    assert missing("nvidia", taken) is None
    found = {step.step: step.value for step in taken}
    assert found["device"] == "Orin, 8.7, 8 multiprocessors"
    assert (found["driver"], found["tensorrt"]) == ("12.6", "10.3.0")
