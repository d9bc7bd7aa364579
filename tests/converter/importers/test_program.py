import numpy as np
import pytest

from littoral.errors import ConversionError, MisuseError
from littoral_converter.importers import program
from littoral_converter.importers.program import Program

RNG = np.random.default_rng(0)
ANSWERS = RNG.random((20, 10), dtype=np.float32)


def test_a_program_that_answers_as_its_framework_is_believed() -> None:
    noise = RNG.normal(0, 0.01, ANSWERS.shape).astype(np.float32)
    program.check_faithful(ANSWERS, ANSWERS + noise)
    program.check_faithful(np.zeros_like(ANSWERS), np.zeros_like(ANSWERS))


def test_a_program_that_is_another_model_is_not() -> None:
    with pytest.raises(
        ConversionError, match=r"was read wrongly: as float TFLite .*another format"
    ):
        program.check_faithful(ANSWERS, ANSWERS[:, ::-1])
    with pytest.raises(ConversionError, match=r"answers \[10\], and as TFLite \[9\]"):
        program.check_faithful(ANSWERS, ANSWERS[:, 1:])


def test_samples_are_arranged_as_the_program_takes_them() -> None:
    samples = RNG.random((2, 3, 4, 5), dtype=np.float32)
    assert program.arranged(samples, Program(parameters=0)) is samples
    turned = program.arranged(samples, Program(parameters=0, axes=(0, 2, 3, 1)))
    assert turned.shape == (2, 4, 5, 3)


def test_samples_of_another_shape_are_refused_with_what_to_do() -> None:
    program.check_samples("calibration", (28, 28, 1), (28, 28, 1))
    for found, words in [
        ((28, 28), r"add the last axis: x\[..., None\]"),
        ((784,), r"\[input\] shape = \[28, 28, 1\]"),
        ((27, 28, 1), r"found \[27, 28, 1\]$"),
    ]:
        with pytest.raises(MisuseError, match=words):
            program.check_samples("calibration", found, (28, 28, 1))
