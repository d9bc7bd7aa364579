"""What every backend promises, asked of every backend."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from littoral.bundle.manifest import Requires, Tensor, Variant
from littoral.errors import BackendError, BackendMissingError
from littoral.model.backends import NAMES, Session, backend_for, open_session
from littoral.model.tensors import quantize

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/fixtures"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes()
MODELS = [
    FIXTURES / "tiny_int8.tflite",
    FIXTURES / "tiny_int8_b.tflite",
    FIXTURES / "two_int8.tflite",
    ROOT.parent / "shared/models/mlperf_tiny/kws_ref_model_int8.tflite",
    ROOT.parent / "shared/models/mlperf_tiny/resnet8_int8.tflite",
    ROOT.parent / "shared/models/coral/mobilenet_v1_0.25_128_quant.tflite",
]

TINY_ONNX = (FIXTURES / "tiny_qdq.onnx").read_bytes()
OTHERS = [FIXTURES / "tiny_float.onnx", FIXTURES / "tiny_qdq.onnx"]

HERE = ["litert", "reference", "onnx"]  # they need nothing plugged in
CASES = [
    (backend, model) for backend in HERE for model in (OTHERS if backend == "onnx" else MODELS)
]


def tiny(backend: str) -> bytes:
    return TINY_ONNX if backend == "onnx" else TINY


def noise(spec: Tensor, rng: np.random.Generator) -> Any:
    if spec.dtype == "float32":
        return rng.normal(size=spec.shape).astype(np.float32)
    limits = np.iinfo(spec.dtype)
    return rng.integers(limits.min, limits.max + 1, spec.shape).astype(spec.dtype)


def given(model: Path) -> bytes:
    if not model.is_file():
        pytest.skip(f"no {model.name} on this machine")
    return model.read_bytes()


def test_every_backend_is_asked_but_those_of_hardware() -> None:
    assert set(NAMES) == {*HERE, "edgetpu", "cuda", "tensorrt"}


@pytest.mark.parametrize(("backend", "model"), CASES, ids=[f"{b}-{m.stem}" for b, m in CASES])
def test_outputs_are_as_the_specs_say(model: Path, backend: str) -> None:
    session = open_session(backend, given(model))
    rng = np.random.default_rng(0)
    got = session.run(*(noise(spec, rng) for spec in session.inputs))
    assert [(t.shape, t.dtype.name) for t in got] == [(s.shape, s.dtype) for s in session.outputs]


@pytest.mark.parametrize("backend", HERE)
def test_specs_bear_the_names_of_the_models_signature(backend: str) -> None:
    session = open_session(backend, tiny(backend))
    dtype = "float32" if backend == "onnx" else "int8"
    assert [(t.name, t.shape, t.dtype) for t in session.inputs] == [("image", (1, 8, 8, 1), dtype)]
    (out,) = session.outputs
    stored = (0, 0) if backend == "onnx" else (1 / 256, -128)
    assert (out.name, out.scale, out.zero_point) == ("output_0", *stored)


@pytest.mark.parametrize("backend", HERE)
def test_the_same_input_gives_the_same_output(backend: str) -> None:
    session = open_session(backend, tiny(backend))
    one, other = (noise(session.inputs[0], np.random.default_rng(k)) for k in (1, 2))
    first = session.run(one)[0]
    session.run(other)
    assert np.array_equal(session.run(one)[0], first)


def test_an_answer_does_not_depend_on_what_was_asked_before() -> None:
    """A fused LSTM keeps its state between invokes: one client's would be the next one's."""
    session = open_session("litert", (FIXTURES / "lstm_int8.tflite").read_bytes())
    rng = np.random.default_rng(1)
    one, other = (noise(session.inputs[0], rng) for _ in range(2))
    first = session.run(one)[0]
    session.run(other)
    assert np.array_equal(session.run(one)[0], first)


@pytest.mark.parametrize("backend", HERE)
def test_outputs_stay_when_the_session_runs_again(backend: str) -> None:
    session = open_session(backend, tiny(backend))
    one, other = (noise(session.inputs[0], np.random.default_rng(k)) for k in (1, 2))
    first = session.run(one)[0]
    kept = first.copy()
    assert not np.array_equal(session.run(other)[0], kept)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("backend", HERE)
def test_an_input_of_another_shape_or_dtype_is_the_callers_mistake(backend: str) -> None:
    session = open_session(backend, tiny(backend))
    dtype = session.inputs[0].dtype
    with pytest.raises(ValueError, match=rf"image: expected {dtype} \[1, 8, 8, 1\], found float16"):
        session.run(np.zeros((1, 8, 8, 1), np.float16))
    with pytest.raises(ValueError, match=rf"found {dtype} \[8, 8, 1\]"):
        session.run(np.zeros((8, 8, 1), dtype))
    with pytest.raises(ValueError, match=r"expected 1 tensors, found 2"):
        session.run(np.zeros((1, 8, 8, 1), dtype), np.zeros((1, 8, 8, 1), dtype))


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("cut", [slice(0), slice(64), slice(-2000), None])
def test_a_broken_model_is_refused(backend: str, cut: slice | None) -> None:
    model = b"\0" * 4096 if cut is None else tiny(backend)[cut]
    with pytest.raises(BackendError):
        open_session(backend, model)
    with pytest.raises(BackendError):
        open_session(backend, b"not a model")


@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.stem)
def test_the_runtime_answers_as_the_definition_does(model: Path) -> None:
    """XNNPACK rounds in floats: a layer is off by one step at most, a softmax makes more of it."""
    reference, runtime = (open_session(name, given(model)) for name in ("reference", "litert"))
    assert (reference.inputs, reference.outputs) == (runtime.inputs, runtime.outputs)
    rng = np.random.default_rng(3)
    near: list[bool] = []
    same: list[bool] = []
    for _ in range(15):
        inputs = [noise(spec, rng) for spec in reference.inputs]
        for ours, theirs in zip(reference.run(*inputs), runtime.run(*inputs), strict=True):
            step = np.abs(ours).max() / 127 if ours.dtype == np.float32 else 1
            near.extend((np.abs(ours.astype(float) - theirs) <= step).flat)
            same.append(bool(ours.argmax() == theirs.argmax()))
    assert np.mean(near) >= 0.85
    assert np.mean(same) >= 0.85


def test_they_agree_on_what_real_words_are() -> None:
    data = ROOT.parent / "shared/data/kws01/kws01_dev.npz"
    model = given(MODELS[3])
    if not data.is_file():
        pytest.skip("no keyword-spotting features on this machine")
    reference, runtime = (open_session(name, model) for name in ("reference", "litert"))
    with np.load(data, allow_pickle=False) as found:
        stored = [quantize(x[None], reference.inputs[0]) for x in found["x"][:200]]
    same = [reference.run(x)[0].argmax() == runtime.run(x)[0].argmax() for x in stored]
    assert np.mean(same) >= 0.99


# Its bottlenecks are linear: there are negative sums, which a ReLU would have hidden.
LINEAR = ROOT.parent / "shared/models/coral/tf2_mobilenet_v2_1.0_224_ptq.tflite"


@pytest.mark.parametrize("model", [*MODELS, LINEAR], ids=lambda p: p.stem)
def test_the_definition_is_tflites_own_to_the_bit(model: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    data = given(model)
    plain = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    plain.allocate_tensors()
    session = open_session("reference", data)
    rng = np.random.default_rng(5)
    for _ in range(1 if model == LINEAR else 5):
        inputs = [noise(spec, rng) for spec in session.inputs]
        for detail, value in zip(plain.get_input_details(), inputs, strict=True):
            plain.set_tensor(detail["index"], value)
        plain.invoke()
        for detail, ours in zip(plain.get_output_details(), session.run(*inputs), strict=True):
            assert np.array_equal(ours, plain.get_tensor(detail["index"]))


def changed(model: bytes, old: str, new: str) -> bytes:
    """Return ``model`` with every operator ``old`` turned into ``new``."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    root = schema.ModelT.InitFromPackedBuf(model, 0)
    for code in root.operatorCodes:
        if code.builtinCode == getattr(schema.BuiltinOperator, old):
            code.builtinCode = getattr(schema.BuiltinOperator, new)
            code.deprecatedBuiltinCode = code.builtinCode
    builder = flatbuffers.Builder(0)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_the_reference_names_the_operators_it_does_not_know() -> None:
    strange = changed(TINY, "SOFTMAX", "LOGISTIC")
    with pytest.raises(BackendError, match="not known to the reference: LOGISTIC; known are: ADD,"):
        open_session("reference", strange)


def test_the_reference_refuses_arithmetic_that_is_not_int8() -> None:
    session: Session = open_session("reference", (FIXTURES / "tiny_float.tflite").read_bytes())
    with pytest.raises(BackendError, match="image:0: float32 is not INT8 arithmetic"):
        session.run(np.zeros((1, 8, 8, 1), np.float32))


def test_an_unknown_backend_is_named_with_those_there_are() -> None:
    there_are = "no backend 'tpu'; there are: litert, edgetpu, onnx, cuda, tensorrt, reference"
    with pytest.raises(BackendMissingError, match=there_are):
        open_session("tpu", b"")


def test_a_variant_says_which_backend_runs_it() -> None:
    cpu = Requires(hardware=("cpu-x86_64",))
    plain = Variant(id="cpu", engine="tflite", files=("model.tflite",), requires=cpu)
    assert backend_for(plain) == "litert"
    coral = Variant(
        id="coral", engine="tflite", files=("m.tflite",), requires=cpu, delegate="edgetpu"
    )
    assert backend_for(coral) == "edgetpu"
    with pytest.raises(BackendMissingError, match="coral: no backend runs tflite with gpu"):
        backend_for(replace(coral, delegate="gpu"))
