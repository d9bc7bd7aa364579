"""ONNX models: what a manifest stores against what a model takes, and what is not here."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from sklearn.datasets import load_digits

from littoral.bundle.manifest import Requires, Tensor, Variant
from littoral.errors import BackendError, BackendMissingError, NotDelegatedError
from littoral.model import tensors
from littoral.model.backends import backend_for, open_session
from littoral.model.backends import onnx as backend
from littoral.model.backends.border import AtBorder

FIXTURES = Path(__file__).parents[1] / "fixtures"
FLOAT = (FIXTURES / "tiny_float.onnx").read_bytes()
QDQ = (FIXTURES / "tiny_qdq.onnx").read_bytes()
INT8 = (FIXTURES / "tiny_int8.tflite").read_bytes()


def digits(spec: Tensor, count: int = 60) -> list[Any]:
    images = load_digits().images[:count, None, ..., None].astype(np.float32) / 16
    return [tensors.quantize(image, spec) for image in images]


def model(
    *nodes: Any, inputs: list[Any], outputs: list[Any], initializers: tuple[Any, ...] = ()
) -> bytes:
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(initializers))
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(made.SerializeToString())


def value(name: str, shape: list[Any], dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def test_the_runtime_tells_nobody_what_it_runs(tmp_path: Path) -> None:
    """Official builds report to their maker, and begin with files in the user's cache."""
    told = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    lines = (
        "from pathlib import Path",
        "from littoral.model.backends import open_session",
        f"open_session('onnx', Path({str(FIXTURES / 'tiny_float.onnx')!r}).read_bytes())",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env=told | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        check=False,
    )
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [FLOAT, QDQ], ids=["float", "qdq"])
def test_at_the_manifests_border_it_answers_as_the_int8_model_does(data: bytes) -> None:
    cpu = open_session("litert", INT8)
    ours = AtBorder(open_session("onnx", data), inputs=cpu.inputs, outputs=cpu.outputs)
    assert (ours.inputs, ours.outputs) == (cpu.inputs, cpu.outputs)
    pairs = [(ours.run(x)[0], cpu.run(x)[0]) for x in digits(cpu.inputs[0])]
    assert all(made.dtype == np.int8 and made.shape == (1, 10) for made, _ in pairs)
    assert np.mean([a.argmax() == b.argmax() for a, b in pairs]) >= 0.95


def test_the_border_goes_by_names_and_not_by_order() -> None:
    data = model(
        helper.make_node("Neg", ["a"], ["minus"]),
        helper.make_node("Abs", ["b"], ["size"]),
        inputs=[value("a", [1, 2]), value("b", [1, 3])],
        outputs=[value("minus", [1, 2]), value("size", [1, 3])],
    )
    stored: dict[str, Any] = {"dtype": "int8", "scale": 0.5, "zero_point": 3}
    told: dict[str, Any] = {
        name: Tensor(name=name, shape=(1, n), **stored)
        for name, n in (("a", 2), ("b", 3), ("minus", 2), ("size", 3))
    }
    session = AtBorder(
        open_session("onnx", data),
        inputs=[told["b"], told["a"]],
        outputs=[told["size"], replace(told["minus"], zero_point=-1)],
    )
    size, minus = session.run(np.array([[1, 3, 5]], np.int8), np.array([[5, 1]], np.int8))
    assert size.tolist() == [[5, 3, 5]]
    assert minus.tolist() == [[-3, 1]]


def test_a_model_that_is_not_its_manifests_is_refused() -> None:
    session = open_session("onnx", FLOAT)
    (image,), (scores,) = session.inputs, session.outputs
    for wrong, words in (
        (replace(image, name="picture"), "names the tensors picture; the model has image"),
        (replace(image, shape=(1, 9, 9, 1)), r"float32 \[1, 9, 9, 1\], the model has float32"),
        (replace(image, dtype="int8"), r"the manifest says int8 .*, the model has float32"),
    ):
        with pytest.raises(BackendError, match=words):
            AtBorder(session, inputs=[wrong], outputs=[scores])


def test_what_a_model_gives_that_no_integer_stands_for_is_its_failure() -> None:
    data = model(
        helper.make_node("Log", ["x"], ["y"]), inputs=[value("x", [1])], outputs=[value("y", [1])]
    )
    x = Tensor(name="x", shape=(1,), dtype="int8", scale=1.0)
    session = AtBorder(open_session("onnx", data), inputs=[x], outputs=[replace(x, name="y")])
    with pytest.raises(BackendError, match="y: NaN cannot be stored"):
        session.run(np.array([-1], np.int8))


def test_dimensions_that_a_model_leaves_open_are_one() -> None:
    data = model(
        helper.make_node("Concat", ["x", "x"], ["y"], axis=1),
        inputs=[value("x", ["batch", 3])],
        outputs=[value("y", ["batch", "twice"])],
    )
    session = open_session("onnx", data)
    assert [spec.shape for spec in (*session.inputs, *session.outputs)] == [(1, 3), (1, 6)]
    assert session.run(np.ones((1, 3), np.float32))[0].shape == (1, 6)


def test_a_tensor_of_an_unknown_type_is_named() -> None:
    double = TensorProto.DOUBLE
    data = model(
        helper.make_node("Neg", ["x"], ["y"]),
        inputs=[value("x", [1], double)],
        outputs=[value("y", [1], double)],
    )
    with pytest.raises(BackendError, match=r"'x' is of tensor\(double\), which is not supported"):
        open_session("onnx", data)


def test_a_model_fails_in_one_line() -> None:
    table = helper.make_tensor("table", TensorProto.FLOAT, [2], [1.0, 2.0])
    data = model(
        helper.make_node("Gather", ["table", "at"], ["y"]),
        inputs=[value("at", [1], TensorProto.INT64)],
        outputs=[value("y", [1])],
        initializers=(table,),
    )
    session = open_session("onnx", data)
    with pytest.raises(BackendError, match=r"^the model failed: .*out of data bounds") as caught:
        session.run(np.array([5]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [4, 64])  # of small ones ONNX Runtime asks more
@pytest.mark.parametrize("where", ["secret.bin", "/etc/hostname", "../secret.bin"])
def test_a_model_may_not_name_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, size: int
) -> None:
    (tmp_path / "secret.bin").write_bytes(np.arange(size, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    outside = onnx.TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[size], data_location=TensorProto.EXTERNAL
    )
    for key, text in (("location", where), ("offset", "0"), ("length", str(4 * size))):
        outside.external_data.add(key=key, value=text)
    data = model(
        helper.make_node("Add", ["x", "w"], ["y"]),
        inputs=[value("x", [size])],
        outputs=[value("y", [size])],
        initializers=(outside,),
    )
    with pytest.raises(BackendError, match="refuses this model"):
        open_session("onnx", data)


def test_a_tensor_that_no_memory_holds_is_refused() -> None:
    data = model(
        helper.make_node("Identity", ["x"], ["y"]),
        inputs=[value("x", [1, 2**40])],
        outputs=[value("y", [1, 2**40])],
    )
    with pytest.raises(BackendError, match="x: every dimension"):
        open_session("onnx", data)


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_build_without_a_provider_is_told_from_a_model_that_is_refused(name: str) -> None:
    if backend._PROVIDERS[name] in onnxruntime.get_available_providers():  # type: ignore[index]
        pytest.skip("this ONNX Runtime has it")
    with pytest.raises(BackendMissingError, match=r"was built without .*ExecutionProvider"):
        open_session(name, FLOAT)


class Fallen:
    """A session as ONNX Runtime makes it where the GPU's libraries are not there."""

    def __init__(self, providers: list[str], *ran: str) -> None:
        self.get_providers = lambda: providers
        parts = [type("Part", (), {"ep_name": name})() for name in ran]
        self.get_provider_graph_assignment_info = lambda: parts


def test_a_session_that_fell_back_to_the_processor_is_none() -> None:
    gpu, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    with pytest.raises(BackendMissingError, match="cannot start CUDAExecutionProvider"):
        backend._require(Fallen([cpu], cpu), "cuda")
    with pytest.raises(NotDelegatedError, match="took over none"):
        backend._require(Fallen([gpu, cpu], cpu), "cuda")
    backend._require(Fallen([gpu, cpu], cpu, gpu), "cuda")


def test_tensorrt_is_asked_for_integers_and_its_engines_folder() -> None:
    asked = {
        "trt_int8_enable": True,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": "/engines",
    }
    assert backend._wanted("tensorrt", Path("/engines")) == [
        ("TensorrtExecutionProvider", asked),
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    first = backend._wanted("tensorrt", None)[0]
    assert first == ("TensorrtExecutionProvider", {"trt_int8_enable": True})


def test_a_variants_hardware_says_which_provider_runs_it() -> None:
    for hardware, name in (
        (("tensorrt",), "tensorrt"),
        (("cuda", "tensorrt"), "cuda"),
        (("cpu-x86_64",), "onnx"),
    ):
        requires = Requires(hardware=hardware)  # type: ignore[arg-type]
        variant = Variant(id="v", engine="onnx", files=("m.onnx",), requires=requires)
        assert backend_for(variant) == name


def test_a_runtime_that_reads_what_files_a_model_names_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for version in ("1.20.1", "odd"):
        monkeypatch.setattr("onnxruntime.__version__", version)
        with pytest.raises(BackendMissingError, match=f"1.21 or later, found {version}"):
            backend.available("onnx")
    monkeypatch.setattr("onnxruntime.__version__", "1.21.0")
    assert backend.available("onnx") == "1.21.0"
