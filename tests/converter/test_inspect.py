"""``littoral inspect``: the shape that programs rely on, and a tree for people."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest

from converter.conftest import Converted, Littoral
from littoral import records
from littoral.errors import HashError, MalformedError, MisuseError
from littoral_converter import graph, inspect_tree, inspection
from simulators.edgetpu_compiled import Package
from simulators.edgetpu_compiled import compiled as made

FIXTURES = Path(__file__).parents[1] / "fixtures"
CORAL = Path(__file__).parents[3] / "shared/models/coral"
INT8 = FIXTURES / "tiny_int8.tflite"
EDGETPU = {
    "source", "mapped", "cpu", "reasons", "min_runtime_version", "cached_bytes", "streamed_bytes",
}  # fmt: skip


def pair(folder: Path, *, left: int = 0) -> tuple[Path, Path]:
    """A model, and what the compiler made of it, which left the last operators."""
    data, count = INT8.read_bytes(), len(graph.read(INT8.read_bytes()).main.operators)
    plain, twin = folder / "a.tflite", folder / "a_edgetpu.tflite"
    plain.write_bytes(data)
    twin.write_bytes(made(data, left=set(range(count - left, count)), package=Package(cached=77)))
    return plain, twin


def test_the_json_has_the_shape_that_programs_rely_on(littoral: Littoral) -> None:
    said = littoral("inspect", INT8, "--json").json
    assert {"inputs", "outputs", "operators", "fully_integer", "edgetpu"} <= said.keys()
    for port in (*said["inputs"], *said["outputs"]):
        assert port.keys() == {"name", "shape", "dtype", "scale", "zero_point"}
        assert port["dtype"] == "int8"
        assert port["scale"] > 0
    assert said["fully_integer"] is True
    assert said["edgetpu"].keys() >= EDGETPU
    assert said["edgetpu"]["source"] == "predicted"
    told = said["edgetpu"]
    assert told["mapped"] + sum(told["cpu"].values()) == sum(said["operators"].values())
    assert told["cpu"].keys() == told["reasons"].keys()
    assert said["edgetpu"]["min_runtime_version"] is None


def test_people_get_a_tree(littoral: Littoral) -> None:
    shown = littoral("inspect", INT8).out
    assert shown.startswith("tiny_int8.tflite  ")
    for words in (
        "fully integer",
        "├── inputs",
        "operators: ",
        "Edge TPU, predicted: ",
        "to run it",
    ):
        assert words in shown


def test_a_float_model_is_said_to_be_none_of_integers() -> None:
    found = inspection.file(FIXTURES / "tiny_float.tflite")
    assert not found.fully_integer
    assert found.inputs[0].scale == 0
    assert found.edgetpu.mapped == 0


def test_a_compiled_file_is_read_with_the_twin_that_lies_beside_it(tmp_path: Path) -> None:
    plain, twin = pair(tmp_path, left=1)
    found = inspection.file(twin)
    assert found.edgetpu.source == "compiled"
    assert found.edgetpu.mapped == len(graph.read(plain.read_bytes()).main.operators) - 1
    assert found.edgetpu.left == 1
    assert found.edgetpu.cached_bytes == 77
    assert found.edgetpu.min_runtime_version == found.needs.edgetpu_runtime == 14
    assert found.fully_integer
    plain.unlink()
    assert inspection.file(twin).edgetpu.mapped is None


def test_another_file_of_that_name_is_not_taken_for_the_twin(tmp_path: Path) -> None:
    plain, twin = pair(tmp_path)
    shutil.copy(FIXTURES / "tiny_float.tflite", plain)
    assert inspection.file(twin).edgetpu.mapped is None
    with pytest.raises(MisuseError, match="was not compiled from"):
        inspection.file(twin, twin=plain)


def test_a_bundle_is_shown_by_its_variants(digits: Converted, littoral: Littoral) -> None:
    said = littoral("inspect", digits.bundle, "--json").json
    assert said["model"] == "digits"
    (variant,) = said["variants"]
    assert variant["id"] == "cpu-int8"
    assert variant["inspection"]["operators"] == said["operators"]
    assert said["fully_integer"] is True
    assert said["edgetpu"]["source"] == "predicted"
    shown = littoral("inspect", digits.bundle).out
    assert shown.startswith("digits:1 (2026.11)  classification")
    assert "variant cpu-int8  tflite, for cpu-x86_64" in shown


def test_a_bundle_whose_file_was_changed_is_refused(digits: Converted, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits.bundle, copy)
    shutil.copy(INT8, copy / "model-int8.tflite")
    with pytest.raises(HashError, match=r"model-int8\.tflite: expected sha256"):
        inspection.bundle(copy)


def test_evidence_that_was_changed_is_no_evidence(digits: Converted, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits.bundle, copy)
    (copy / "report.html").unlink()
    inspection.bundle(copy)  # it may be kept elsewhere
    with (copy / "bom.json").open("a") as file:
        file.write(" ")
    with pytest.raises(HashError, match=r"bom\.json: expected sha256"):
        inspection.bundle(copy)


@pytest.mark.parametrize("endless", ["/dev/zero", "pipe"])
def test_a_file_without_end_is_not_read_to_its_end(
    digits: Converted, tmp_path: Path, endless: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits.bundle, copy)
    os.mkfifo(copy / "pipe")
    (copy / "model-int8.tflite").unlink()
    (copy / "model-int8.tflite").symlink_to(endless)
    with pytest.raises(HashError, match="found a device"):
        inspection.bundle(copy)


def test_what_it_does_not_read_is_said(littoral: Littoral, tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "expected a .tflite file or a bundle"),
        (tmp_path / "none.tflite", "no such file"),
    ):
        done = littoral("inspect", path)
        assert done.code == 2
        assert words in done.err
        assert done.err.count("\n") == 1
    (tmp_path / "cut.tflite").write_bytes(INT8.read_bytes()[:900])
    done = littoral("inspect", tmp_path / "cut.tflite")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_a_strangers_names_do_nothing_to_a_terminal() -> None:
    port = inspection.Port(name="x\x1b[2J\ny", shape=(1,), dtype="int8", scale=0.0, zero_point=0)
    shown = inspect_tree.draw(inspect_tree.Node("a", [inspect_tree.Node(inspect_tree._port(port))]))
    assert "\x1b" not in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("compiled", [False, True])
def test_a_damaged_file_is_shown_or_refused_and_never_more_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, compiled: bool
) -> None:
    def known(_: object) -> dict[str, int]:
        return {}

    monkeypatch.setattr("littoral.model.registered.unknown", known)
    whole = made(INT8.read_bytes(), left={13}) if compiled else INT8.read_bytes()
    dice, path, refused = random.Random(6), tmp_path / "hurt.tflite", 0
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 4))):
            data[dice.randrange(8, len(data))] = dice.randrange(256)
        path.write_bytes(data[: dice.choice((len(data), len(data), dice.randrange(9, len(data))))])
        try:
            found = inspection.file(path)
            inspect_tree.draw(inspect_tree.of_file(found))
            assert records.to_json(found)
        except MalformedError:
            refused += 1
    assert 50 < refused < 600


@pytest.mark.skipif(not CORAL.is_dir(), reason="the collection of public models is not here")
def test_every_public_file_is_shown() -> None:
    for path in sorted(CORAL.glob("*.tflite")):
        found = inspection.file(path)
        assert inspect_tree.draw(inspect_tree.of_file(found)).count("\n") > 10
        assert json.dumps(found.operators)
        if path.stem.endswith("_edgetpu"):
            assert found.edgetpu.mapped
            assert found.edgetpu.cached_bytes
