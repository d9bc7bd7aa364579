"""TFLite files of all kinds: made plain, judged as they are, or refused with the reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.importers.conftest import KERAS, answers
from littoral.errors import ConversionError, MalformedError, MisuseError
from littoral.model.backends import open_session
from littoral_converter import graph
from littoral_converter.importers import pinning, program, signature, tflite, trim
from littoral_converter.importers.program import Job, Program

FIXTURES = Path(__file__).parents[2] / "fixtures"
SHARED = Path(__file__).parents[4] / "shared/models"
shared = pytest.mark.skipif(not SHARED.exists(), reason="the shared models are not here")


FAR = {"float": 1e-5, "half": 2e-3, "dynamic": 2e-2}  # from what Keras answers


def imported(model: Path, folder: Path, seen: tuple[int, ...], **asked: Any) -> Program:
    samples = np.random.default_rng(0).random((3, *seen), dtype=np.float32)
    np.save(folder / "samples.npy", samples)
    job = Job(
        model=model,
        folder=folder,
        samples=folder / "samples.npy",
        seen=seen,
        **asked,
    )
    return tflite.run(job, say=lambda _: None)


def state(model: bytes) -> str:
    return tflite.state_of(graph.read(model).main)


def test_a_file_of_integers_is_judged_as_it_is(tmp_path: Path) -> None:
    model = FIXTURES / "tiny_int8.tflite"
    shape = open_session("litert", model.read_bytes()).inputs[0].shape[1:]
    assert imported(model, tmp_path, shape).integer
    assert not (tmp_path / program.SAVED).exists()


@pytest.mark.parametrize("name", FAR)
def test_weights_in_fewer_bits_become_floats_and_the_batch_is_1(
    formats: Path, models: Path, tmp_path: Path, name: str
) -> None:
    model = formats / f"{name}.tflite"
    found = imported(model, tmp_path, KERAS, input_name="scan", output_name="figure")
    assert not found.integer
    made = (tmp_path / program.FLOAT).read_bytes()
    main = graph.read(made).main
    assert {t.dtype for t in main.tensors if t.constant} <= {"float32", "int32"}
    assert not pinning.is_open(made)
    assert not {o.name for o in main.operators} & {"SHAPE", "STRIDED_SLICE", "PACK", "DEQUANTIZE"}
    session = open_session("litert", made)
    assert (session.inputs[0].name, session.outputs[0].name) == ("scan", "figure")
    truth, asked = np.load(models / "test-answers.npy"), np.load(models / "test.npz")["x"]
    assert np.abs(answers(made, asked[:50]) - truth[:50]).max() < FAR[name]


def test_what_is_not_held_any_more_is_not_kept(formats: Path) -> None:
    stored = (formats / "dynamic.tflite").read_bytes()
    floats = (formats / "float.tflite").stat().st_size
    assert len(trim.widened(stored)) < 1.1 * floats


@shared
def test_the_reference_keyword_spotter_has_no_signature_and_narrow_weights(tmp_path: Path) -> None:
    model = SHARED / "mlperf_tiny/kws_ref_model_float32.tflite"
    with pytest.raises(MisuseError, match=r"\[49, 10, 1\], as the model takes them"):
        imported(model, tmp_path, (490,))
    imported(model, tmp_path, (49, 10, 1))
    made = (tmp_path / program.FLOAT).read_bytes()
    assert state(made) == "float"
    session = open_session("litert", made)
    assert (session.inputs[0].name, session.outputs[0].name) == ("input", "output")


@shared
def test_a_compiled_file_says_what_to_give_instead(tmp_path: Path) -> None:
    model = SHARED / "coral/mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    with pytest.raises(ConversionError, match=r"compiled for an Edge TPU.*--target edgetpu"):
        imported(model, tmp_path, (128, 128, 3))


def test_a_cut_file_is_damaged(tmp_path: Path) -> None:
    cut = (FIXTURES / "tiny_int8.tflite").read_bytes()[:400]
    (tmp_path / "cut.tflite").write_bytes(cut)
    with pytest.raises(MalformedError):
        imported(tmp_path / "cut.tflite", tmp_path, KERAS)


@shared
def test_a_model_of_integers_with_floats_at_its_borders_takes_integers(tmp_path: Path) -> None:
    model = SHARED / "coral/keras_lstm_mnist_ptq.tflite"
    assert imported(model, tmp_path, (28, 28)).integer
    made = graph.read((tmp_path / program.FLOAT).read_bytes()).main
    assert {made.tensors[k].dtype for k in (*made.inputs, *made.outputs)} <= {"int8", "uint8"}


def test_a_shape_that_does_not_fit_is_told(formats: Path, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match=r"the recipe pins input\.shape \[9, 9, 1\]"):
        imported(formats / "float.tflite", tmp_path, KERAS, shape=(9, 9, 1))


def test_a_signature_is_given_to_a_file_that_has_none(formats: Path) -> None:
    bare = signature.give((formats / "float.tflite").read_bytes(), source="a", answer="b")
    again = signature.give(bare, source="c", answer="d")
    assert set(graph.read(again).names.values()) == {"c", "d"}
