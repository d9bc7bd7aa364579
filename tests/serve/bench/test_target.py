"""What TARGET may name, and what is said of what it may not."""

from dataclasses import replace
from pathlib import Path

import pytest

from littoral.bundle.manifest import Requires, Variant
from littoral.errors import HashError, LittoralError, MisuseError, NotFoundError
from littoral_serve.bench.orders import Order
from littoral_serve.bench.process import started
from littoral_serve.bench.target import find
from simulators.served import FIXTURES, HARDWARE, Device, model


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


@pytest.fixture
def bundle(device: Device, tmp_path: Path) -> Path:
    return device.bundle(device.add("digits"), tmp_path / "digits-1")


def test_a_file_is_run_by_what_its_name_says(tmp_path: Path) -> None:
    found = find(str(FIXTURES / "tiny_int8.tflite"), data=tmp_path)
    (one,) = found.subjects
    assert (one.backend, one.variant, one.manifest) == ("litert", None, None)
    (one,) = find(str(FIXTURES / "tiny_float.onnx"), data=tmp_path).subjects
    assert one.backend == "onnx"


def test_a_file_that_was_compiled_for_a_tpu_is_run_on_one(tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers")
    from simulators.edgetpu_compiled import compiled

    path = tmp_path / "digits_edgetpu.tflite"
    path.write_bytes(compiled(model("tiny_int8")))
    (one,) = find(str(path), data=tmp_path).subjects
    assert one.backend == "edgetpu"


def test_a_file_may_be_run_by_several_backends(tmp_path: Path) -> None:
    wanted = ("litert", "reference")
    found = find(str(FIXTURES / "tiny_int8.tflite"), data=tmp_path, backends=wanted)
    assert tuple(one.backend for one in found.subjects) == wanted


def test_a_bundle_brings_its_golden_inputs_and_its_self_test(bundle: Path, tmp_path: Path) -> None:
    (one,) = find(str(bundle), data=tmp_path).subjects
    assert (one.variant, one.backend, one.hardware) == ("cpu-int8", "litert", HARDWARE)
    assert one.model == (bundle / "model.tflite").read_bytes()
    assert one.golden == tuple(
        (bundle / name).read_bytes() for name in ("inputs.bin", "outputs.bin")
    )


def test_a_bundle_with_other_bytes_than_it_says_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "model.tflite").write_bytes((FIXTURES / "tiny_int8_b.tflite").read_bytes())
    with pytest.raises(HashError):
        find(str(bundle), data=tmp_path)


def test_an_installed_model_is_found_by_its_name(device: Device) -> None:
    device.good(device.add("digits"))
    found = find("digits", data=device.tree.root)
    assert [one.variant for one in found.subjects] == ["cpu-int8"]
    assert found.told is not None
    assert found.told.model == "digits"


def test_variants_are_those_that_this_machine_may_run_in_the_publishers_order(
    device: Device, tmp_path: Path
) -> None:
    release = device.add("digits")
    plain = release.manifest.variants[0]
    variants = (
        replace(plain, id="tpu", delegate="edgetpu", requires=Requires(hardware=("edgetpu-usb",))),
        replace(plain, id="elsewhere", requires=Requires(hardware=("cpu-armv7l",))),
        plain,
    )
    folder = device.bundle(
        replace(release, manifest=replace(release.manifest, variants=variants)), tmp_path / "b"
    )
    found = find(str(folder), data=tmp_path)
    assert [(one.variant, one.backend) for one in found.subjects] == [
        ("tpu", "edgetpu"),
        ("cpu-int8", "litert"),
    ]
    (one,) = find(str(folder), data=tmp_path, variant="cpu-int8").subjects
    assert one.variant == "cpu-int8"
    (one,) = find(str(folder), data=tmp_path, backends=("litert",)).subjects
    assert one.variant == "cpu-int8"
    with pytest.raises(MisuseError, match=r"'elsewhere'.*only: tpu, cpu-int8"):
        find(str(folder), data=tmp_path, variant="elsewhere")


def test_each_backend_that_is_asked_for_runs_what_it_can_read(bundle: Path, tmp_path: Path) -> None:
    wanted = ("reference", "litert")
    found = find(str(bundle), data=tmp_path, backends=wanted)
    assert tuple(one.backend for one in found.subjects) == wanted
    with started(found.subjects[0], threads=1) as process:
        loaded = process.ask(Order(do="load")).loaded
        assert loaded is not None
        assert loaded.runtime.startswith("NumPy")
        assert process.measure(Order(do="closed", least=10)).latency.min() > 50_000  # LiteRT: 5,000
    with pytest.raises(MisuseError, match="cuda runs ONNX, and none of the variants is: digits:1"):
        find(str(bundle), data=tmp_path, backends=("litert", "cuda"))


def test_a_bundle_for_other_machines_alone_says_so(device: Device, tmp_path: Path) -> None:
    other: Variant = replace(
        device.add("digits").manifest.variants[0],
        requires=Requires(hardware=("cpu-armv7l",)),
    )
    folder = device.bundle(device.add("digits", variants=(other,)), tmp_path / "b")
    with pytest.raises(MisuseError, match="none of its variants is for"):
        find(str(folder), data=tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("nobody", NotFoundError, "found there: digits"),
        ("../etc", NotFoundError, "expected a file, a bundle, or a model"),
        (".", MisuseError, "manifest.json"),
    ],
)
def test_what_is_nothing_of_the_kind_is_told(
    text: str,
    error: type[LittoralError],
    words: str,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device.good(device.add("digits"))
    monkeypatch.chdir(device.tree.root)
    with pytest.raises(error, match=words):
        find(text, data=device.tree.root)


def test_a_file_of_no_known_kind_and_an_unknown_backend_are_misuses(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(MisuseError, match=r"expected a \.tflite, an \.onnx"):
        find(str(tmp_path / "model.bin"), data=tmp_path)
    with pytest.raises(MisuseError, match="no backend 'tvm'"):
        find(str(FIXTURES / "tiny_int8.tflite"), data=tmp_path, backends=("tvm",))
    with pytest.raises(MisuseError, match="has no variants"):
        find(str(FIXTURES / "tiny_int8.tflite"), data=tmp_path, variant="cpu-int8")
