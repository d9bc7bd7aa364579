"""One real conversion, looked at from all sides."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from converter.conftest import Converted, Littoral
from littoral import machine
from littoral.bundle.manifest import Manifest, Tolerance
from littoral.errors import ConversionError, DiskFullError, MisuseError, OutputsError
from littoral.model import registered, selftest
from littoral.model.backends import open_session
from littoral.model.selftest import Figures
from littoral_converter import convert, release
from littoral_converter.convert import Order
from littoral_converter.recipe import Guard, Recipe
from littoral_converter.worker import Progress


def manifest(digits: Converted) -> Manifest:
    return Manifest.from_json((digits.bundle / "manifest.json").read_bytes())


def answers_by_hand(model: Path, x: Any) -> Any:
    """LiteRT as its own documentation has it, without a line of ours."""
    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    (source,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = source["quantization"]
    out = []
    for sample in x:
        stored = np.clip(np.round(sample[None] / np.float32(scale)) + zero_point, -128, 127)
        interpreter.set_tensor(source["index"], stored.astype(np.int8))
        interpreter.invoke()
        out.append(interpreter.get_tensor(answer["index"])[0])
    return np.stack(out)


def test_the_summary_says_what_the_contract_promises(digits: Converted) -> None:
    said = digits.said
    assert said.keys() == {"bundle", "float", "variants", "exports"}
    assert said["bundle"] == str(digits.bundle)
    (variant,) = said["variants"]
    assert variant.keys() == {
        "id", "path", "bytes", "fully_integer", "accuracy", "agreement", "edgetpu",
    }  # fmt: skip
    assert variant["id"] == "cpu-int8"
    assert variant["fully_integer"] is True
    assert variant["edgetpu"] is None
    assert Path(variant["path"]).stat().st_size == variant["bytes"]


def test_little_accuracy_is_lost(digits: Converted) -> None:
    (variant,) = digits.said["variants"]
    assert digits.said["float"]["accuracy"] > 0.93
    assert variant["accuracy"] >= digits.said["float"]["accuracy"] - 0.006
    assert variant["agreement"] >= 0.98


def test_the_floats_accuracy_is_keras_own(digits: Converted, models: Path) -> None:
    y = np.load(models / "test.npz")["y"]
    kerases = np.load(models / "test-answers.npy").argmax(axis=1)
    assert digits.said["float"]["accuracy"] == (kerases == y).mean()


def test_int8s_accuracy_is_what_litert_by_hand_gives_to_the_last_sample(
    digits: Converted, models: Path
) -> None:
    test = np.load(models / "test.npz")
    answers = answers_by_hand(digits.bundle / "model-int8.tflite", test["x"]).argmax(axis=1)
    (variant,) = digits.said["variants"]
    assert variant["accuracy"] == (answers == test["y"]).mean()
    kerases = np.load(models / "test-answers.npy").argmax(axis=1)
    assert variant["agreement"] == (answers == kerases).mean()


def test_the_manifest_says_how_the_model_is_to_be_run(digits: Converted) -> None:
    found = manifest(digits)
    assert (found.model, found.release, found.label) == ("digits", 1, "2026.11")
    assert found.task == "classification"
    (source,), (answer,) = found.inputs, found.outputs
    assert (source.name, source.shape, source.dtype) == ("image", (1, 8, 8, 1), "int8")
    assert source.layout == "NHWC"
    assert source.scale == pytest.approx(1 / 255)
    assert (answer.name, answer.shape, answer.scale) == ("digit", (1, 10), 1 / 256)
    (variant,) = found.variants
    assert variant.engine == "tflite"
    assert variant.requires.hardware == ("cpu-x86_64", "cpu-aarch64", "cpu-armv7l")
    assert variant.requires.operators.keys() == {
        *("CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "RESHAPE", "SOFTMAX")
    }
    assert registered.unknown(variant.requires.operators) == {}
    assert (variant.requires.runtime, variant.requires.memory_bytes) == (None, 0)
    assert found.selftest.count == 32
    assert found.selftest.tolerance == Tolerance(max_abs=4 / 256, min_top1=0.95)
    assert (found.provenance, found.bom) == ("provenance.json", "bom.json")
    assert found.signature is None


def test_every_file_is_as_the_manifest_says(digits: Converted) -> None:
    for name, file in manifest(digits).files.items():
        data = (digits.bundle / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.size)


def test_labels_come_along(digits: Converted) -> None:
    labels = manifest(digits).labels
    assert labels is not None
    assert (digits.bundle / labels).read_text().split()[:3] == ["zero", "one", "two"]


def figures(digits: Converted, model: bytes) -> selftest.Figures:
    found = manifest(digits)
    test, session = found.selftest, open_session("litert", model)
    inputs = selftest.unpack(
        (digits.bundle / test.inputs).read_bytes(), found.inputs, count=test.count
    )
    outputs = selftest.unpack(
        (digits.bundle / test.outputs).read_bytes(), found.outputs, count=test.count
    )
    return selftest.measure(session, inputs, outputs)


def test_the_golden_vectors_pass_on_the_model(digits: Converted) -> None:
    found = figures(digits, (digits.bundle / "model-int8.tflite").read_bytes())
    assert found.max_abs == 0
    assert found.top1 == 1
    selftest.judge(found, manifest(digits).selftest, hardware="cpu-x86_64")


def test_a_model_that_does_not_repeat_itself_is_not_released() -> None:
    proven = Figures(max_abs=0.0, top1=1.0, p95_cpu_us=10.0, peak_bytes=None)
    release.check_repeats(proven)
    with pytest.raises(ConversionError, match="does not repeat itself"):
        release.check_repeats(dataclasses.replace(proven, max_abs=1 / 256))


def test_the_golden_vectors_fail_on_a_damaged_model(digits: Converted) -> None:
    damaged = bytearray((digits.bundle / "model-int8.tflite").read_bytes())
    # The longest constants are the weights of the last layer.
    at = len(damaged) // 2
    damaged[at : at + 400] = bytes(b ^ 0x70 for b in damaged[at : at + 400])
    with pytest.raises(OutputsError):
        selftest.judge(
            figures(digits, bytes(damaged)), manifest(digits).selftest, hardware="cpu-x86_64"
        )


def test_the_budget_is_for_this_hosts_hardware_alone(digits: Converted) -> None:
    assert set(manifest(digits).selftest.p95_cpu_us) == {machine.cpu()}


def test_the_same_samples_give_the_same_model(
    digits: Converted, models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    """And without samples to judge by, accuracy and agreement are unknown, and said to be."""
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "again", "--json", "--no-cache",
        "--calibration", models / "train.npz",
    )  # fmt: skip
    (first,), (again,) = digits.said["variants"], ran.json["variants"]
    assert Path(first["path"]).read_bytes() == Path(again["path"]).read_bytes()
    assert ran.json["float"] == {"accuracy": None}
    assert again["accuracy"] is again["agreement"] is None
    assert "nobody knows how accurate" in ran.err
    report = json.loads((tmp_path / "again" / "report.json").read_text())
    assert report["baseline"]["source"] == "calibration"
    assert "evaluation" not in report


def order(models: Path, tmp_path: Path, **changed: Any) -> Order:
    given: dict[str, Any] = {
        "model": models / "digits.keras",
        "out": tmp_path / "out",
        "calibration": models / "train.npz",
    }
    return Order(**given | changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"calibration": None}, "give --calibration DATA"),
        ({"targets": ("cpux",)}, "no target 'cpux'; there are: cpu, edgetpu"),
        ({"name": "No Name"}, "--name"),
        ({"release": 0}, "--release: expected at least 1"),
        ({"recipe": Recipe(guard=Guard(max_accuracy_drop=0.1))}, "give --evaluation DATA"),
    ],
)
def test_a_misuse_is_told_before_anything_is_done(
    models: Path, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    said: list[object] = []
    with pytest.raises(MisuseError) as caught:
        convert.convert(order(models, tmp_path, **changed), say=said.append)
    assert words in str(caught.value)
    assert said == []


def test_what_came_to_be_there_meanwhile_is_not_replaced(
    digits: Converted, models: Path, tmp_path: Path
) -> None:
    wanted = order(models, tmp_path, model=digits.bundle / "model-int8.tflite")

    def say(said: Progress) -> None:
        if said.step == "self-test" and said.cost is not None:
            wanted.out.mkdir()
            (wanted.out / "thesis.txt").write_text("years of work")

    with pytest.raises(MisuseError, match="is no bundle"):
        convert.convert(wanted, say=say)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (wanted.out / "thesis.txt").exists()


@pytest.mark.parametrize("what", ["model", "calibration", "evaluation", "training"])
def test_nothing_is_written_into_what_is_read(tmp_path: Path, what: str) -> None:
    (tmp_path / "read").mkdir()
    given: dict[str, Any] = {"model": tmp_path / "none.keras", what: tmp_path / "read"}
    with pytest.raises(MisuseError, match="which is read; choose another folder"):
        convert.convert(Order(**given, out=tmp_path / "read" / "deep" / "out"), say=print)


def test_a_model_that_is_integers_already_is_judged_and_becomes_a_bundle(
    models: Path, tmp_path: Path, digits: Converted, littoral: Littoral
) -> None:
    said = littoral(
        "convert", digits.bundle / "model-int8.tflite", "-o", tmp_path / "again", "--json",
        "--calibration", models / "train.npz", "--evaluation", models / "test.npz",
    ).json  # fmt: skip
    (before,), (after,) = digits.said["variants"], said["variants"]
    assert after["accuracy"] == before["accuracy"] == said["float"]["accuracy"]
    assert (after["agreement"], after["fully_integer"]) == (1.0, True)
    found = Manifest.from_json((tmp_path / "again" / "manifest.json").read_bytes())
    assert (found.inputs[0].name, found.outputs[0].name) == ("image", "digit")


def test_a_model_that_lost_too_much_is_not_released(
    models: Path, tmp_path: Path, littoral: Littoral
) -> None:
    """Ranges learned from nearly black scans are far too narrow for real ones."""
    train = np.load(models / "train.npz")
    np.save(tmp_path / "dark.npy", train["x"][:120] * 0.02)
    ran = littoral(
        "convert", models / "digits.keras", "-o", tmp_path / "out",
        "--calibration", tmp_path / "dark.npy", "--evaluation", models / "test.npz",
    )  # fmt: skip
    assert ran.code == 1
    assert "INT8 loses too much: its accuracy" in ran.err
    assert "[conversion]" in ran.err
    assert not (tmp_path / "out").exists()


def test_no_room_for_temporary_files_is_told_and_nothing_is_left(
    models: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small_disk / "filler").write_bytes(bytes(480 * 1024))
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    with pytest.raises(DiskFullError, match="no space left"):
        convert.convert(order(models, tmp_path), say=lambda _: None)
    assert [p.name for p in small_disk.iterdir()] == ["filler"]
    assert not (tmp_path / "out").exists()
