"""One conversion for every target: what lies where, who runs it, and that nothing was lost."""

import dataclasses
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from littoral.bundle.manifest import Manifest
from littoral.bundle.preprocessing import Preprocessing
from littoral.errors import ConversionError
from littoral.model import selftest, tensors
from littoral.model.backends import open_session
from littoral_converter import build
from littoral_converter.importers.program import Program
from littoral_converter.recipe import Input, Recipe
from littoral_converter.targets import building

CHROMIUM = Path("/usr/bin/chromium")
# TensorFlow.js 4.22.0, which nothing here brings along: `make judges` fetches it.
TFJS = Path(os.environ.get("LITTORAL_TFJS", ".venv/tf.min.js"))
TARGETS = "jetson,serving,browser,mobile"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Made:
    bundle: Path
    said: Any
    x: np.ndarray
    y: np.ndarray

    @property
    def manifest(self) -> Manifest:
        return Manifest.from_json((self.bundle / "manifest.json").read_bytes())

    @property
    def report(self) -> Any:
        return json.loads((self.bundle / "report.json").read_bytes())


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("targets")
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    (folder / "r.toml").write_text(
        "[input.preprocessing]\nrange = [0.0, 1.0]\n[mobile]\nauthor = 'Scanners Ltd.'\n"
    )
    words = (
        "convert", models / "digits.keras", "-o", folder / "digits", "--json", "--target", TARGETS,
        "--calibration", models / "train.npz", "--evaluation", models / "test.npz",
        "--recipe", folder / "r.toml", "--labels", folder / "names.txt", "--release", "7",
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "littoral", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    test = np.load(models / "test.npz")
    return Made(folder / "digits", json.loads(done.stdout), test["x"], test["y"])


def test_devices_fetch_their_own_variant_and_no_export(made: Made) -> None:
    told = made.manifest
    assert [v.id for v in told.variants] == ["tensorrt-int8", "cuda-float32", "cpu-int8"]
    assert not [name for name in told.files if "browser" in name or "serving" in name]
    for hardware, model in (
        ("tensorrt", "model-int8.onnx"),
        ("cuda", "model-float32.onnx"),
        ("cpu-aarch64", "model-int8.tflite"),
    ):
        variant = told.variant_for(hardware)
        assert variant is not None
        needed = set(told.files_for(variant))
        assert {name for name in needed if name.startswith("model")} == {model}
        assert len([name for name in needed if name.startswith("golden-outputs")]) == 1


def test_a_device_without_onnx_runtime_learns_so_before_the_first_byte(made: Made) -> None:
    for variant in made.manifest.variants[:2]:
        assert variant.requires.runtime == "onnxruntime>=1.12"


def test_exports_are_believed_by_the_report(made: Made) -> None:
    told = {export["target"]: export for export in made.report["exports"]}
    assert sorted(told) == ["browser", "mobile", "serving"]
    for export in told.values():
        for file in export["files"]:
            data = (made.bundle / file["path"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        assert export["likeness"]["agreement"] >= 0.99
    there = {
        path.relative_to(made.bundle).as_posix()
        for target in told
        for path in (made.bundle / target).rglob("*")
        if path.is_file()
    }
    assert there == {file["path"] for export in told.values() for file in export["files"]}


def test_the_command_says_what_was_exported_and_how_it_is_begun_with(made: Made) -> None:
    said = {export["target"]: export for export in made.said["exports"]}
    assert list(said) == ["serving", "browser", "mobile"]
    for target, export in said.items():
        assert export["path"] == str(made.bundle / target)
        assert export["bytes"] == sum(
            path.stat().st_size for path in Path(export["path"]).rglob("*") if path.is_file()
        )
        assert export["agreement"] >= 0.99
    assert "MODEL_NAME=digits" in said["serving"]["use"]
    assert [v["edgetpu"] for v in made.said["variants"]] == [None] * 3


def test_what_a_target_has_to_be_told_is_asked_before_any_work() -> None:
    for shape in ((96, 96, 3), (8, 8, 1)):
        with pytest.raises(ConversionError, match="phones must be told how a pixel becomes"):
            building.check(("cpu", "mobile"), Recipe(), shape)
    told = Recipe(input=Input(preprocessing=Preprocessing()))
    building.check(("mobile",), told, (96, 96, 3))
    building.check(("mobile",), Recipe(), (49, 10))
    # A keyword spotter was asked what a pixel is: its input is a grey picture by its shape alone.
    building.check(("mobile",), Recipe(), (49, 10, 1))
    with pytest.raises(ConversionError, match="phones must be told how a pixel becomes"):
        building.check(("mobile",), Recipe(task="keypoints"), (48, 64, 1))
    building.check(("cpu",), Recipe(), (96, 96, 3))


def test_pictures_with_their_channels_first_are_known_once_the_model_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is quantized in vain."""
    found = Program(parameters=1, axes=(0, 2, 3, 1))
    monkeypatch.setattr(build, "read", lambda *_, **__: found)
    x = np.zeros((5, 3, 8, 8), np.float32)
    building.check(("mobile",), Recipe(), x.shape[1:])
    nowhere: Any = None
    with pytest.raises(ConversionError, match="phones must be told how a pixel becomes"):
        build.build(nowhere, nowhere, x, tmp_path, recipe=Recipe(), targets=("mobile",))


def ask(made: Made, name: str) -> np.ndarray:
    session = onnxruntime.InferenceSession(made.bundle / name, providers=["CPUExecutionProvider"])
    (source,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.shape) == ("image", [1, 8, 8, 1])
    assert (answer.name, answer.shape) == ("digit", [1, 10])
    return np.concatenate([session.run(None, {"image": x[None]})[0] for x in made.x])


def test_a_jetsons_models_answer_as_the_report_says(made: Made) -> None:
    said = {variant["id"]: variant for variant in made.said["variants"]}
    for name in ("cuda-float32", "tensorrt-int8"):
        file = Path(said[name]["path"]).name
        accuracy = float((ask(made, file).argmax(axis=1) == made.y).mean())
        assert accuracy == pytest.approx(said[name]["accuracy"])
        assert said[name]["agreement"] >= 0.98


def test_a_jetsons_golden_outputs_are_its_own(made: Made) -> None:
    """With a tolerance in which the other model's would not pass, were it damaged."""
    told = made.manifest
    inputs = selftest.unpack(
        (made.bundle / told.selftest.inputs).read_bytes(), told.inputs, count=told.selftest.count
    )
    for variant in told.variants[:2]:
        session = onnxruntime.InferenceSession(
            made.bundle / variant.files[0], providers=["CPUExecutionProvider"]
        )
        test = told.selftest_for(variant)
        wanted = selftest.unpack(
            (made.bundle / test.outputs).read_bytes(), told.outputs, count=test.count
        )
        found = []
        for (stored,) in inputs:
            real = tensors.dequantize(stored, told.inputs[0])
            (answer,) = session.run(None, {told.inputs[0].name: real})
            found.append((tensors.quantize(answer, told.outputs[0]),))
        max_abs, top1 = selftest.compare(found, wanted, told.outputs)
        assert (max_abs, top1) == (0, 1)


def test_the_phones_file_runs_has_labels_and_one_signature(made: Made) -> None:
    import zipfile

    from ai_edge_litert.interpreter import Interpreter

    path = made.bundle / "mobile/digits.tflite"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().split() == list(NAMES)
    assert b"Scanners Ltd." in path.read_bytes()
    session = open_session("litert", path.read_bytes())
    (source,) = session.inputs
    assert (source.name, source.dtype, source.zero_point) == ("image", "uint8", 0)
    # The scans have 17 grays: as pixels of 0 to 255 they are nearly themselves.
    pixels = np.rint(made.x * 255).astype(np.uint8)
    found = np.concatenate([session.run(one[None])[0] for one in pixels])
    assert (found.argmax(axis=1) == made.y).mean() >= made.said["float"]["accuracy"] - 0.01
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    assert run(image=pixels[:1])["digit"].dtype == np.float32
    (export,) = (e for e in made.report["exports"] if e["target"] == "mobile")
    assert "it takes uint8 pixels" in export["notes"]
    assert any("colour alone" in note for note in export["notes"])


SERVE = """
import json, sys
import numpy as np
import tensorflow as tf
samples = np.load(sys.argv[2])["x"]
loaded = tf.saved_model.load(sys.argv[1])
serve = loaded.signatures["serving_default"]
found = serve(image=tf.constant(samples))["digit"].numpy()
records = list(tf.data.TFRecordDataset(sys.argv[1] + "/assets.extra/tf_serving_warmup_requests"))
graph = tf.compat.v1.saved_model.loader
print(json.dumps([found.tolist(), len(records), list(serve.structured_input_signature[1])]))
"""


def test_tensorflow_serving_gets_a_version_with_any_batch_and_a_warm_up(
    made: Made, models: Path
) -> None:
    version = made.bundle / "serving/digits/7"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SERVE, version, models / "test.npz"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    answers, requests, names = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(answers, np.load(models / "test-answers.npy"), atol=1e-5)
    assert requests == 5
    assert names == ["image"]


def test_without_tensorflows_graph_there_is_a_way_out() -> None:
    @dataclasses.dataclass
    class Built:
        program: Program

    @dataclasses.dataclass
    class Found:
        built: Built
        source: Any

    source = dataclasses.make_dataclass("Source", ["kind"])("PyTorch")
    found: Any = Found(Built(Program(parameters=1)), source)
    with pytest.raises(ConversionError, match="a model of PyTorch has none; give the model as"):
        building._need_saved(found, "browser")


@pytest.fixture
def page(made: Made, tmp_path: Path) -> Iterator[Any]:
    """The page, served from a folder of its own, in Chromium; ``page.folder`` is that folder."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    folder = shutil.copytree(made.bundle / "browser", tmp_path / "browser")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless"]
        )
        page: Any = browser.new_page(viewport={"width": 390, "height": 800})
        page.folder, page.asked = folder, []
        page.on("request", lambda request: page.asked.append(request.url))
        page.address = f"http://127.0.0.1:{server.server_port}/index.html?backend=cpu"
        yield page
        browser.close()
    server.shutdown()
    thread.join()
    server.server_close()


def opened(page: Any) -> str:
    page.goto(page.address)
    states = ("ready", "wrong", "missing", "failed")
    page.wait_for_selector(",".join(f"body[data-state={state}]" for state in states))
    return str(page.evaluate("document.body.dataset.state"))


def test_the_page_says_what_is_missing_and_fetches_nothing_unasked(page: Any) -> None:
    assert opened(page) == "missing"
    assert "npm pack @tensorflow/tfjs@4.22.0" in page.inner_text("#missing")
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in page.asked)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_another_file_of_that_name_is_not_run(page: Any) -> None:
    (page.folder / "tf.min.js").write_text("document.title = 'run'")
    assert opened(page) == "missing"
    assert page.title() != "run"


@pytest.mark.skipif(not TFJS.is_file(), reason="TensorFlow.js is not here: make judges")
def test_the_browser_computes_what_tflite_computes(page: Any, made: Made, tmp_path: Path) -> None:
    shutil.copy(TFJS, page.folder / "tf.min.js")
    assert opened(page) == "ready"
    found = np.array(page.evaluate("littoral.answers"))
    session = open_session("litert", (made.bundle / "model-int8.tflite").read_bytes())
    (source,), (answer,) = session.inputs, session.outputs
    int8 = np.concatenate(
        [
            tensors.dequantize(session.run(tensors.quantize(x[None], source))[0], answer)
            for x in made.x[: len(found)]
        ]
    )
    assert len(found) == 8
    assert np.abs(found - int8).max() <= 0.05
    assert (found.argmax(axis=1) == int8.argmax(axis=1)).all()
    assert np.abs(found - ask(made, "model-float32.onnx")[: len(found)]).max() <= 1e-5
    from PIL import Image

    sample = int(np.flatnonzero(made.y == 7)[0])
    Image.fromarray(np.rint(made.x[sample, ..., 0] * 255).astype(np.uint8)).save(tmp_path / "7.png")
    page.set_input_files("#file", tmp_path / "7.png")
    page.wait_for_selector("body[data-answered=yes]")
    assert page.inner_text("#answers li:first-child span:first-child") == "seven"


@pytest.mark.skipif(not TFJS.is_file(), reason="TensorFlow.js is not here: make judges")
def test_weights_that_were_changed_are_seen_by_the_page(page: Any) -> None:
    shutil.copy(TFJS, page.folder / "tf.min.js")
    (weights,) = page.folder.glob("group1-*.bin")
    data = np.frombuffer(weights.read_bytes(), "<f4").copy()
    data[: 3 * 3 * 12] *= 1.5  # the first convolution's
    weights.write_bytes(data.tobytes())
    assert opened(page) == "wrong"
    assert "No: answers lie up to" in page.inner_text("#verdict")
