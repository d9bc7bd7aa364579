"""``convert --target edgetpu``: the variant beside its twin, or words on how to get it."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from converter.conftest import Littoral
from littoral.bundle.manifest import Manifest, Requires
from littoral_converter import graph, inspection
from littoral_converter.edgetpu import mapping, target
from littoral_converter.edgetpu.target import Built, EdgeTpu
from simulators import edgetpu_compiler as simulated


def args(models: Path, out: Path) -> tuple[object, ...]:
    return (
        "convert", models / "digits.keras", "-o", out, "--json", "--name", "digits",
        "--calibration", models / "train.npz", "--target", "cpu,edgetpu",
    )  # fmt: skip


def test_the_compiled_model_goes_before_its_twin(
    models: Path, littoral: Littoral, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated.install(tmp_path / "bin", "internal", "partial")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    done = littoral(*args(models, tmp_path / "d"))
    cpu, tpu = done.json["variants"]
    assert (cpu["id"], cpu["edgetpu"]) == ("cpu-int8", None)
    assert tpu["id"] == "edgetpu-int8"
    assert tpu["edgetpu"]["source"] == "compiled"
    assert tpu["edgetpu"]["mapped"] == 5
    assert tpu["edgetpu"]["cpu"] == {"SOFTMAX": 1}
    assert tpu["edgetpu"]["reasons"] == {"SOFTMAX": ["the compiler says: Operation not supported"]}
    assert (tpu["accuracy"], tpu["agreement"]) == (None, None)
    assert "1 of 6 operators stay on the processor" in done.err
    told = Manifest.from_json((tmp_path / "d/manifest.json").read_bytes())
    first, second = told.variants
    assert (first.id, first.delegate) == ("edgetpu-int8", "edgetpu")
    assert first.requires.hardware == ("edgetpu-usb", "edgetpu-pcie")
    assert first.requires.operators == {"SOFTMAX": 2}
    assert second.id == "cpu-int8"
    for hardware, variant in (("edgetpu-usb", "edgetpu-int8"), ("cpu-aarch64", "cpu-int8")):
        found = told.variant_for(hardware)
        assert found is not None
        assert found.id == variant
    seen = inspection.bundle(tmp_path / "d")
    shown = seen.variants[0].inspection
    assert shown is not None
    assert (shown.edgetpu.source, shown.edgetpu.mapped) == ("compiled", 5)
    report = json.loads((tmp_path / "d/report.json").read_bytes())
    assert report["edgetpu"]["compiler"] == "16.0.384591198"
    assert "What an Edge TPU runs of it" in (tmp_path / "d/report.html").read_text()


def test_without_the_compiler_there_are_the_twin_a_prediction_and_what_to_do(
    models: Path, littoral: Littoral, tmp_path: Path
) -> None:
    done = littoral(*args(models, tmp_path / "d"))
    (cpu,) = done.json["variants"]
    assert (cpu["edgetpu"]["source"], cpu["edgetpu"]["mapped"]) == ("predicted", 6)
    assert cpu["edgetpu"]["min_runtime_version"] is None
    assert "no Edge TPU variant was made: edgetpu_compiler is not on the path: install" in done.err
    assert "of 6 operators an Edge TPU would run 6" in done.err
    # Dense layers have one scale: the compiler knows no others, and no version tells it.
    main = graph.read((tmp_path / "d/model-int8.tflite").read_bytes()).main
    dense = [op for op in main.operators if op.name == "FULLY_CONNECTED"]
    assert dense
    assert all(len(main.tensors[op.inputs[1]].scales) == 1 for op in dense)
    assert "This is a prediction" in (tmp_path / "d/report.html").read_text()
    words = [word for word in args(models, tmp_path / "e") if word != "--json"]
    shown = littoral(*words)
    assert shown.code == 0
    assert "on an Edge TPU (predicted)" in shown.out
    assert "6 of 6 operators" in shown.out


def test_a_compiler_that_makes_nothing_ends_the_conversion(
    models: Path, littoral: Littoral, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated.install(tmp_path / "bin", "large")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    done = littoral(*args(models, tmp_path / "d"))
    assert done.code == 1
    assert "does not fit on the chip" in done.err
    assert done.err.count("error: ") == 1
    assert not (tmp_path / "d").exists()


FOUND = mapping.Mapping(
    source="compiled",
    mapped=10,
    cpu={"A": 1, "B": 2, "C": 3, "D": 4},
    reasons={name: (f"why {name}",) for name in "ABCD"},
    streamed_bytes=5_000_000,
)


def test_warnings_name_the_most_frequent_and_what_is_sent_each_time() -> None:
    left, sent = target.warnings(EdgeTpu(mapping=FOUND, file="m"))
    assert "10 of 20 operators" in left
    assert "4 D (why D), 3 C (why C), 2 B (why B), and 1 kinds more" in left
    assert sent.startswith("5 MB of parameters do not fit")
    whole = dataclasses.replace(FOUND, cpu={}, streamed_bytes=0)
    assert list(target.warnings(EdgeTpu(mapping=whole, file="m"))) == []


def test_the_variant_asks_for_what_its_twin_asks_for_but_the_hardware() -> None:
    cpu = Requires(hardware=("cpu-x86_64",), runtime="litert>=2.1", memory_bytes=9)
    built = Built(about=EdgeTpu(mapping=FOUND), model=b"", operators={"ADD": 1})
    found = target.variant(built, cpu).requires
    assert (found.runtime, found.memory_bytes, found.operators) == ("litert>=2.1", 9, {"ADD": 1})
    assert found.hardware == ("edgetpu-usb", "edgetpu-pcie")
