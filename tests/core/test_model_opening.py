import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.errors import (
    BackendError,
    BackendMissingError,
    HashError,
    MalformedError,
    MisuseError,
    NotFoundError,
)
from littoral.model import opening
from littoral.model.backends import litert, open_session
from littoral.wire import journal
from littoral.wire.journal import Journal, Said, State, Waits
from littoral.wire.update import Update
from simulators import detectors
from simulators.served import FIXTURES, Device, model


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "device")


def test_a_file_is_a_model_of_which_nothing_is_said(tmp_path: Path) -> None:
    opened = opening.open_model(str(FIXTURES / "tiny_int8.tflite"), data=tmp_path)
    assert (opened.model, opened.release, opened.task) == ("tiny_int8", None, None)
    assert len(opened.labels) == 0


def test_a_bundles_folder_brings_its_task_and_labels(device: Device, tmp_path: Path) -> None:
    folder = device.bundle(detectors.release(device), tmp_path / "bundle")
    opened = opening.open_model(str(folder), data=tmp_path)
    assert (opened.model, opened.release, opened.variant) == ("squares", 1, "cpu-int8")
    assert opened.task == "detection"
    assert opened.labels.names == detectors.LABELS


def test_a_name_is_what_this_devices_journal_calls_good(device: Device) -> None:
    device.good(device.add("digits", release=3))
    opened = opening.open_model("digits", data=device.tree.root)
    assert (opened.model, opened.release, opened.task) == ("digits", 3, "classification")


def test_of_what_is_not_proven_yet_is_said_how_far_it_is(device: Device) -> None:
    """It only said that none is, while serve answered with the very release."""

    def said(**changes: Any) -> str:
        held = Journal(model="digits", candidate=device.add("digits", release=2).choice, **changes)
        journal.write(device.tree.journal("digits"), held)
        with pytest.raises(NotFoundError) as caught:
            opening.open_model("digits", data=device.tree.root)
        return str(caught.value)

    def watched(left_s: float, time_ms: int) -> Said:
        figures = {"probation_left_s": left_s}
        update = Update(model="digits", event="passed", state="probation", figures=figures)
        return Said(id="1", time_ms=time_ms, update=update)

    year_2100, year_2001 = 4_102_444_800_000, 978_307_200_000
    found = said(state=State.PROBATION, said=watched(300.0, year_2100))
    assert "release 2 is in probation until 2100-01-01 00:05 UTC; meanwhile serve" in found
    assert found.endswith("or give its bundle's folder instead")
    found = said(state=State.PROBATION, said=watched(300.0, year_2001))
    assert "is in probation, due to end at 2001-01-01 00:05 UTC; meanwhile" in found
    assert "release 2 is in probation; meanwhile serve" in said(state=State.PROBATION)
    assert "release 2 is on trial; give its bundle" in said(state=State.TESTING)
    assert "release 2 is being fetched; give" in said(state=State.FETCHING)
    later = Waits(code="window", until_ms=year_2100)
    found = said(state=State.FETCHING, waits=later)
    assert "release 2 waits for its window until 2100-01-01 00:00 UTC; give" in found
    journal.write(device.tree.journal("digits"), Journal(model="digits"))
    with pytest.raises(NotFoundError, match=r"proven on this device yet$"):
        opening.open_model("digits", data=device.tree.root)


def test_real_numbers_are_quantized_and_integers_taken_as_stored() -> None:
    opened = opening.open_model(str(FIXTURES / "tiny_int8.tflite"), data=Path())
    (spec,) = opened.inputs
    stored = np.arange(64, dtype=np.int8).reshape(8, 8, 1)
    real = (stored.astype(np.float32) - spec.zero_point) * np.float32(spec.scale)
    session = open_session("litert", model("tiny_int8"))
    (expected,) = session.run(stored[None])
    for given in (stored, real):
        (found,), took_ns = opened.run([given])
        assert found.dtype == np.float32
        (out,) = opened.outputs
        assert np.array_equal(np.rint(found / out.scale + out.zero_point), expected[0])
        assert took_ns > 0


def test_an_instance_of_another_shape_is_refused() -> None:
    opened = opening.open_model(str(FIXTURES / "tiny_int8.tflite"), data=Path())
    with pytest.raises(ValueError, match=r"expected \[8, 8, 1\], found \[8, 8\]"):
        opened.run([np.zeros((8, 8), np.float32)])


@pytest.mark.parametrize("name", ["digits", "../digits", "no such.tflite", ""])
def test_what_is_nowhere_is_not_found(name: str, device: Device) -> None:
    with pytest.raises(NotFoundError, match="no model"):
        opening.open_model(name, data=device.tree.root)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"expected a bundle, a folder with manifest\.json"):
        opening.open_model(str(tmp_path), data=tmp_path)


def test_other_bytes_than_the_manifest_names_are_not_opened(device: Device, tmp_path: Path) -> None:
    release = device.add("digits")
    device.good(release)
    folder = device.bundle(release, tmp_path / "bundle")
    (folder / "model.tflite").write_bytes(model("tiny_int8_b"))
    with pytest.raises(HashError, match="expected sha256"):
        opening.open_model(str(folder), data=tmp_path)
    path = device.tree.manifest(release.sha256)
    path.write_bytes(json.dumps({**json.loads(path.read_bytes()), "label": "9"}).encode())
    with pytest.raises(HashError):
        opening.open_model("digits", data=device.tree.root)


def test_the_first_variant_that_runs_here_is_taken(device: Device, tmp_path: Path) -> None:
    release = device.add("digits")
    (cpu,) = release.manifest.variants
    coral = replace(
        cpu,
        id="coral",
        delegate="edgetpu",
        requires=replace(cpu.requires, hardware=("edgetpu-usb",)),
    )
    arm = replace(cpu, id="arm", requires=replace(cpu.requires, hardware=("cpu-armv7l",)))
    mixed = device.put(replace(release.manifest, variants=(arm, coral, cpu)))
    folder = str(device.bundle(mixed, tmp_path / "mixed"))
    assert opening.open_model(folder, data=tmp_path).variant == "cpu-int8"
    assert opening.open_model(folder, data=tmp_path, variant="arm").variant == "arm"
    with pytest.raises(BackendMissingError):
        opening.open_model(folder, data=tmp_path, variant="coral")
    with pytest.raises(MalformedError, match="no variant 'none'"):
        opening.open_model(folder, data=tmp_path, variant="none")
    other = device.put(replace(release.manifest, variants=(arm,)))
    with pytest.raises(MalformedError, match="none of its variants is for"):
        opening.open_model(str(device.bundle(other, tmp_path / "other")), data=tmp_path)


def test_a_variant_of_a_bare_file_is_a_misuse(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="--variant"):
        opening.open_model(str(FIXTURES / "tiny_int8.tflite"), data=tmp_path, variant="x")


def test_a_file_that_is_no_model_is_refused_by_the_runtime(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"nothing")
    with pytest.raises(BackendError, match=r"model\.tflite: LiteRT refuses .* it is no TFLite"):
        opening.open_model(str(path), data=tmp_path)
    path.write_bytes((FIXTURES / "tiny_int8.tflite").read_bytes()[:900])
    with pytest.raises(BackendError, match="the file is damaged or cut short"):
        opening.open_model(str(path), data=tmp_path)


def test_a_model_for_a_tpu_that_the_processor_is_to_run_is_told_what_it_is() -> None:
    told = litert.refused(ValueError("Encountered unresolved custom op: edgetpu-custom-op."))
    assert "compiled for an Edge TPU" in str(told)
    told = litert.refused(ValueError("The model is not a valid Flatbuffer buffer"))
    assert "littoral convert" in str(told)
