"""Candidates for an Edge TPU in their trial, with a libedgetpu that the test chooses."""

from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from littoral import records
from littoral.bundle.manifest import Requires, Variant
from littoral.model import probing
from littoral.model.backends import edgetpu as backend
from littoral.wire.control import Tried
from simulators import edgetpu
from simulators.served import Device, Release, ask, model, serving

COMPILED = (Path(probing.__file__).parent / "probes/edgetpu.tflite").read_bytes()
CORAL = Variant(
    id="coral",
    engine="tflite",
    files=("model.tflite",),
    delegate="edgetpu",
    requires=Requires(hardware=("edgetpu-usb",)),
)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that is sound; golden outputs are what it gives here."""
    built = edgetpu.build(tmp_path)
    monkeypatch.setattr(backend, "LIBRARY", str(built / backend.LIBRARY))
    return built


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def compiled(device: Device, library: Path) -> Release:
    assert library.exists()
    return device.add(
        "digits", data=COMPILED, golden_of=COMPILED, backend="edgetpu", variants=(CORAL,)
    )


def tried(device: Device, release: Release, library: Path | None) -> tuple[int, dict[str, object]]:
    found = {"LD_LIBRARY_PATH": str(library)} if library else {}
    order = {**release.order, "hardware": "edgetpu-usb", "deadline_s": 30.0}
    with serving(f"--data={device.tree.root}", environment=found):
        status, reply = ask(device.tree.control, "POST", "/control/try", order)
    return status, reply


def test_a_model_that_was_compiled_for_it_runs_there(
    device: Device, compiled: Release, library: Path
) -> None:
    status, reply = tried(device, compiled, library)
    assert status == 200, reply
    done = records.fill(Tried, reply)
    assert (done.code, done.max_abs) == (None, 0.0)


def test_a_model_that_would_run_on_the_processor_instead_fails(
    device: Device, library: Path
) -> None:
    """It gives the very outputs, ten times slower than anybody thinks."""
    plain = device.add("digits", data=model("tiny_int8"), variants=(CORAL,))
    status, reply = tried(device, plain, library)
    assert status == 200, reply
    assert reply["code"] == "not-delegated"
    assert "none of its" in str(reply["detail"])
    assert "was compiled for an Edge TPU" in str(reply["detail"])


def test_a_library_that_takes_over_nothing_is_told(
    tmp_path: Path, device: Device, compiled: Release
) -> None:
    status, reply = tried(device, compiled, edgetpu.build(tmp_path, "IDLE"))
    assert status == 200, reply
    assert reply["code"] == "not-delegated"


@pytest.mark.parametrize("fault", ["CANNOT_OPEN", None])
def test_no_edge_tpu_is_no_fault_of_the_model(
    tmp_path: Path, device: Device, compiled: Release, fault: str | None
) -> None:
    status, reply = tried(device, compiled, edgetpu.build(tmp_path, fault) if fault else None)
    assert (status, reply["code"]) == (409, "backend-missing")
    assert "no Edge TPU can be opened" in str(reply["error"])


def test_one_that_is_pulled_meanwhile_ends_the_trial_and_not_serve(
    tmp_path: Path, device: Device, compiled: Release
) -> None:
    status, reply = tried(device, compiled, edgetpu.build(tmp_path, "ABORTS"))
    assert status == 200, reply
    assert reply["code"] == "crash"
