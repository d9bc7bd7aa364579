"""Other borders for an INT8 model: what goes in and comes out changes, the model does not."""

from pathlib import Path

import numpy as np
import pytest

from littoral.model import tensors
from littoral.model.backends import open_session
from littoral_converter import check
from littoral_converter.targets import borders
from littoral_converter.targets.borders import Pixels

MODELS = Path(__file__).parents[3].parent / "shared/models"
INT8 = MODELS / "mlperf_tiny/kws_ref_model_int8.tflite"
UINT8 = MODELS / "coral/tf2_mobilenet_v2_1.0_224_ptq.tflite"  # QUANTIZE at both ends

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="../shared/models is not there")


def test_real_numbers_go_in_and_come_out_and_the_answers_are_the_same() -> None:
    data = INT8.read_bytes()
    inner, outer = (
        open_session("litert", model) for model in (data, borders.replace(data, source="real"))
    )
    (source,), (answer,) = outer.inputs, outer.outputs
    assert (source.dtype, answer.dtype) == ("float32", "float32")
    assert (source.name, source.shape) == (inner.inputs[0].name, inner.inputs[0].shape)
    rng = np.random.default_rng(0)
    for _ in range(8):
        # Real numbers that are stored without rounding: else the rounding of halves is compared.
        stored = rng.integers(-128, 128, inner.inputs[0].shape, np.int8)
        (wanted,) = inner.run(stored)
        (found,) = outer.run(tensors.dequantize(stored, inner.inputs[0]))
        np.testing.assert_array_equal(found, tensors.dequantize(wanted, inner.outputs[0]))


def test_a_pixel_means_what_was_said_and_not_what_calibration_saw() -> None:
    data = UINT8.read_bytes()
    made = borders.replace(data, source=Pixels(scale=1 / 64, zero_point=128))
    inner, outer = open_session("litert", data), open_session("litert", made)
    (source,) = outer.inputs
    assert (source.dtype, source.zero_point) == ("uint8", 128)
    assert source.scale == pytest.approx(1 / 64)
    pixels = np.random.default_rng(1).integers(64, 192, source.shape, np.uint8)
    (found,) = outer.run(pixels)
    real = (pixels.astype(np.float32) - 128) / 64
    (wanted,) = inner.run(tensors.quantize(real, inner.inputs[0]))
    apart = np.abs(found - tensors.dequantize(wanted, inner.outputs[0]))
    assert apart.max() <= 3 * inner.outputs[0].scale


def test_the_border_that_was_there_is_replaced_and_not_added_to() -> None:
    before = check.read(UINT8.read_bytes()).counts
    after = check.read(borders.replace(UINT8.read_bytes(), source="real")).counts
    assert before["QUANTIZE"] == 2
    assert (after["QUANTIZE"], after["DEQUANTIZE"]) == (1, 1)
    assert after["CONV_2D"] == before["CONV_2D"]
