from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter import check
from littoral_converter.ptq import faces, observe

FIXTURES = Path(__file__).parents[2] / "fixtures"


def test_bytes_go_in_and_out_and_mean_the_same(digits: NDArray[np.float32]) -> None:
    int8 = (FIXTURES / "tiny_int8.tflite").read_bytes()
    made = faces.as_uint8(int8)
    assert np.array_equal(observe.answers(made, digits[:100]), observe.answers(int8, digits[:100]))
    found = check.read(made)
    assert found.fully_integer
    assert found.counts["QUANTIZE"] == 2
    assert faces.as_uint8(int8) == made


def test_a_float_model_has_no_such_face(tiny: bytes) -> None:
    with pytest.raises(ConversionError, match="expected int8 at the model's ends"):
        faces.as_uint8(tiny)
