"""What the command line names: files of two kinds, and bundles' folders."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from littoral import machine
from littoral.bundle.manifest import File, Requires, Variant
from littoral.errors import (
    BackendMissingError,
    HashError,
    LittoralError,
    MalformedError,
    MisuseError,
    StorageError,
)
from littoral.model import tensors
from littoral.model.backends import open_session
from littoral_serve.running import named
from littoral_serve.running.live import Live, Resources
from simulators.served import FIXTURES, Device, Release, model, noise

INT8, FLOAT, QDQ = (
    FIXTURES / name for name in ("tiny_int8.tflite", "tiny_float.onnx", "tiny_qdq.onnx")
)
CORAL = Path(__file__).parents[3] / "shared/models/coral"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "data")


def answer(live: Live, *inputs: Any) -> Any:
    """Return what its runner gives; nothing of ours is so slow that it gets a thread."""
    made: list[Any] = []
    live.lane.runner.run(inputs, lambda found, _: made.append(found))
    return made[0][0]


def image() -> Any:
    return noise(open_session("litert", model("tiny_int8")).inputs, 1)[0][0]


def variant(name: str, file: str, *hardware: Any, engine: Any = "tflite", **more: Any) -> Variant:
    requires = Requires(hardware=hardware)
    return Variant(id=name, engine=engine, files=(file,), requires=requires, **more)


def bundle(device: Device, folder: Path, release: Release) -> Path:
    return device.bundle(release, folder)


def of_two_engines(device: Device, *variants: Variant) -> Release:
    """Return a release whose model is there as TFLite and as ONNX."""
    plain = device.add("digits", release=7).manifest
    files: dict[str, File] = {**plain.files, "model.onnx": device.blob(QDQ.read_bytes())}
    return device.put(replace(plain, files=files, variants=variants))


def test_a_tflite_file_is_release_one_of_its_name() -> None:
    live = named.load("digits", INT8, resources=Resources())
    assert (live.model, live.release, live.variant) == ("digits", 1, "local")
    want = open_session("litert", INT8.read_bytes()).run(image())[0]
    assert np.array_equal(answer(live, image()), want)


@pytest.mark.parametrize("path", [FLOAT, QDQ], ids=["float", "qdq"])
def test_an_onnx_file_takes_the_floats_that_it_is_made_for(path: Path) -> None:
    live = named.load("digits", path, resources=Resources())
    assert (live.inputs[0].dtype, live.outputs[0].dtype) == ("float32", "float32")
    zeros = np.zeros((1, 8, 8, 1), np.float32)
    want = open_session("onnx", path.read_bytes()).run(zeros)[0]
    assert np.allclose(answer(live, zeros), want)


def test_a_bundle_is_its_release_under_the_name_that_is_given(
    device: Device, tmp_path: Path
) -> None:
    folder = bundle(device, tmp_path / "out", device.add("digits", release=7))
    live = named.load("other", folder, resources=Resources())
    assert (live.model, live.release, live.variant) == ("other", 7, "cpu-int8")
    assert live.label.startswith("1.7")


def test_an_onnx_variant_takes_and_gives_what_the_manifest_stores(
    device: Device, tmp_path: Path
) -> None:
    cpu = machine.cpu()
    release = of_two_engines(device, variant("onnx", "model.onnx", cpu, engine="onnx"))
    live = named.load("digits", bundle(device, tmp_path / "out", release), resources=Resources())
    assert (live.variant, live.inputs, live.outputs) == (
        "onnx",
        release.manifest.inputs,
        release.manifest.outputs,
    )
    x = tensors.quantize(np.ones((1, 8, 8, 1)), live.inputs[0])
    made, other = answer(live, x), open_session("litert", INT8.read_bytes()).run(x)[0]
    assert made.dtype == np.int8
    assert made.argmax() == other.argmax()


def test_the_first_variant_that_this_machine_can_run_is_served(
    device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release = of_two_engines(
        device,
        variant("gpu", "model.onnx", "tensorrt", engine="onnx"),
        variant("far", "model.tflite", "cpu-armv7l"),
        variant("near", "model.tflite", "cpu-aarch64", "cpu-x86_64"),
    )
    with caplog.at_level("INFO"):
        live = named.load(
            "digits", bundle(device, tmp_path / "out", release), resources=Resources()
        )
    assert live.variant == "near"
    assert "digits: not its variant gpu: ONNX Runtime" in caplog.text


def test_a_bundle_for_other_machines_says_what_this_one_lacks(
    device: Device, tmp_path: Path
) -> None:
    far = of_two_engines(device, variant("far", "model.tflite", "cpu-armv7l"))
    with pytest.raises(MalformedError, match="no variant of it is for cpu-"):
        named.load("digits", bundle(device, tmp_path / "far", far), resources=Resources())
    gpu = of_two_engines(device, variant("gpu", "model.onnx", "cuda", engine="onnx"))
    with pytest.raises(BackendMissingError, match="without CUDAExecutionProvider"):
        named.load("digits", bundle(device, tmp_path / "gpu", gpu), resources=Resources())


def test_a_bundles_files_are_those_of_its_manifest(device: Device, tmp_path: Path) -> None:
    folder = bundle(device, tmp_path / "out", device.add("digits"))
    data = bytearray((folder / "model.tflite").read_bytes())
    data[5000] ^= 1
    (folder / "model.tflite").write_bytes(data)
    with pytest.raises(HashError, match=r"digits 1: model\.tflite"):
        named.load("digits", folder, resources=Resources())


def test_a_files_classes_are_named_by_another_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = tmp_path / "labels_digits.txt"
    for text in ("nil\none\n", "0  nil\n1  one\n"):
        names.write_text(text)
        (live,) = named.load_all([f"digits={INT8},labels={names}"], resources=Resources())
        assert live.description.labels.names == ("nil", "one")
        assert caplog.messages == ["digits: 2 names for 10 classes: are they this model's?"]
        caplog.clear()
    names.write_text("\n".join("abcdefghij"))
    named.load_all([f"digits={INT8},labels={names}"], resources=Resources())
    assert not caplog.messages
    (live,) = named.load_all([f"digits={INT8}"], resources=Resources())
    assert len(live.description.labels) == 0


@pytest.mark.skipif(not CORAL.is_dir(), reason="needs the shared models")
def test_a_file_may_bring_its_labels_itself() -> None:
    path = CORAL / "mobilenet_v1_0.25_128_quant.tflite"
    live = named.load("things", path, resources=Resources())
    assert live.description.labels[286] == "Egyptian cat"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("digits", "expected NAME=PATH"),
        ("digits=", "expected NAME=PATH, found 'digits='"),
        (f"digits={INT8},labels=", "expected labels=FILE"),
        (f"digits={INT8},labels={INT8}", "tflite: labels: expected UTF-8 text"),
        (f"digits={INT8},labels=none.txt", "none.txt: No such file"),
        (f"digits={FIXTURES},labels=none.txt", "expected a bundle"),
    ],
)
def test_what_is_wrong_with_a_models_words_is_said(text: str, why: str) -> None:
    with pytest.raises(LittoralError, match=why):
        named.load_all([text], resources=Resources())


@pytest.mark.parametrize("name", ["half_plus_two", "ResNet50", "digits", "a" * 64])
def test_a_file_has_the_name_that_it_has_at_tensorflow_serving(name: str) -> None:
    (live,) = named.load_all([f"{name}={INT8}"], resources=Resources())
    assert live.model == name


@pytest.mark.parametrize("name", ["../digits", "a/b", "a:b", "a.b", "ä", "", "a" * 65, "a\n"])
def test_what_no_path_can_say_is_no_name(name: str) -> None:
    with pytest.raises(MisuseError, match="1 to 64 letters, digits, '_' and '-', found "):
        named.load_all([f"{name}={INT8}"], resources=Resources())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("half_plus_two", "half-plus-two"), ("ResNet.50", "resnet-50"), ("a" * 65, "a" * 64)],
)
def test_beside_a_devices_models_a_name_is_of_the_fleets_kind(name: str, nearest: str) -> None:
    """What is counted of it goes to the console, which refuses a batch with another name in it."""
    said = f"1 to 64 of a-z, 0-9 and '-', found '{name}': beside --data, .*, as '{nearest}' is"
    with pytest.raises(MisuseError, match=said):
        named.load_all([f"{name}={INT8}"], resources=Resources(), device=True)
    (live,) = named.load_all([f"{nearest}={INT8}"], resources=Resources(), device=True)
    assert live.model == nearest


def test_a_bundle_has_its_own_labels(device: Device, tmp_path: Path) -> None:
    folder = bundle(device, tmp_path / "out", device.add("digits"))
    with pytest.raises(MisuseError, match=r"labels=x\.txt: are for a model's file"):
        named.load_all([f"digits={folder},labels=x.txt"], resources=Resources())


def test_what_is_named_badly_or_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        named.load("digits", tmp_path / "none.tflite", resources=Resources())
    os.mkfifo(tmp_path / "pipe.tflite")
    for endless in (tmp_path / "pipe.tflite", Path("/dev/zero")):
        with pytest.raises(StorageError, match="expected a file"):
            named.load("digits", endless, resources=Resources())
    with pytest.raises(MisuseError, match=r"expected a bundle, a folder with manifest\.json"):
        named.load("digits", tmp_path, resources=Resources())
    (tmp_path / "manifest.json").write_bytes(b" " * 100_000)
    with pytest.raises(MalformedError, match="at most 65536 bytes"):
        named.load("digits", tmp_path, resources=Resources())
