from pathlib import Path

import numpy as np
import pytest

from littoral.errors import BackendError, ConversionError
from littoral.model import tensors
from littoral.model.backends import open_session
from littoral_converter import litert
from littoral_converter.worker import Progress

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = FIXTURES / "tiny_int8.tflite"


def samples(folder: Path, n: int = 40) -> Path:
    (spec,) = open_session("litert", TINY.read_bytes()).inputs
    path = folder / "samples.npy"
    np.save(path, np.random.default_rng(0).random((n, *spec.shape[1:]), dtype=np.float32))
    return path


def test_answers_are_what_a_session_gives(tmp_path: Path) -> None:
    told: list[Progress] = []
    job = litert.Run(
        model=TINY, samples=samples(tmp_path), answers=tmp_path / "answers.npy", stage="running"
    )
    found = litert.run(job, say=told.append)
    session = open_session("litert", TINY.read_bytes())
    assert (found.inputs, found.outputs) == (session.inputs, session.outputs)
    x, answers = np.load(job.samples), np.load(job.answers)
    for sample, answer in zip(x, answers, strict=True):
        (expected,) = session.run(tensors.quantize(sample[None], session.inputs[0]))
        assert np.array_equal(expected[0], answer)
    assert told[-1] == Progress(stage="running", done=40, of=40)
    assert len(found.cpu_us) == len(found.wall_us) >= 30
    assert min(found.wall_us) > 0


def test_a_model_of_two_outputs_is_not_for_this_version(tmp_path: Path) -> None:
    job = litert.Run(
        model=FIXTURES / "two_int8.tflite",
        samples=samples(tmp_path),
        answers=tmp_path / "answers.npy",
        stage="running",
    )
    with pytest.raises(ConversionError, match="one input and one output"):
        litert.run(job, say=lambda _: None)


def test_a_refused_model_is_said_so(tmp_path: Path) -> None:
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(TINY.read_bytes()[:500])
    job = litert.Run(
        model=junk, samples=samples(tmp_path), answers=tmp_path / "answers.npy", stage="running"
    )
    with pytest.raises(BackendError):
        litert.run(job, say=lambda _: None)
