"""Runtimes that are tried by a process of their own, as somebody starts it."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from littoral.model import probing
from littoral.wire.probes import Step, missing, read
from patience import patient
from simulators import edgetpu


def probe(runtime: str, **environment: str) -> tuple[tuple[Step, ...], int]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "littoral.model.probing", runtime],
        capture_output=True,
        timeout=patient(60),
        check=False,
        env=environment,
    )
    return read(done.stdout), done.returncode


def test_litert_loads_and_computes() -> None:
    pytest.importorskip("ai_edge_litert")
    taken, status = probe("litert")
    assert status == 0
    assert missing("litert", taken) is None
    assert [step.error for step in taken] == [None] * 3


def test_the_models_are_as_they_are_made() -> None:
    pytest.importorskip("flatbuffers")
    pytest.importorskip("ai_edge_litert")
    make = importlib.import_module("fixtures.make_probes")
    assert (make.HERE / "cpu.tflite").read_bytes() == make.cpu()
    assert (make.HERE / "edgetpu.tflite").read_bytes() == make.edgetpu()


def test_a_machine_that_computes_wrongly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setattr(probing, "_WANTED", [60, 24])
    steps = probing.litert()
    with pytest.raises(probing._Wrong, match=r"expected \[60, 24\], found \[60, 25\]"):
        list(steps)


def test_a_sound_library_takes_over_the_operator(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    library = edgetpu.build(tmp_path)
    taken, status = probe("edgetpu", LD_LIBRARY_PATH=str(library))
    assert status == 0
    assert missing("edgetpu", taken) is None
    assert taken[0].value == str(library / "libedgetpu.so.1")
    assert taken[2].value == "usb /sys/bus/usb/devices/2-1"


def test_a_library_that_dies_leaves_the_steps_before(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    taken, status = probe("edgetpu", LD_LIBRARY_PATH=str(edgetpu.build(tmp_path, "ABORTS")))
    assert status < 0
    assert missing("edgetpu", taken) == "run"


@pytest.mark.parametrize("runtime", ["edgetpu", "nvidia"])
def test_what_is_not_installed_is_an_error_of_the_first_step(runtime: str) -> None:
    (only,), status = probe(runtime)
    assert status == 0
    assert "cannot open shared object file" in str(only.error)


@pytest.mark.parametrize(("number", "words"), [(8502, "8.5.2"), (100300, "10.3.0")])
def test_tensorrts_versions_are_said_as_people_say_them(number: int, words: str) -> None:
    assert probing._tensorrt(number) == words


def test_cudas_versions_are_said_as_people_say_them() -> None:
    assert probing._thousands(12040) == "12.4"
