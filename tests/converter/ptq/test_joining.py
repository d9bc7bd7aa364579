from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral_converter import check
from littoral_converter.ptq import observe
from littoral_converter.ptq.judge import compare
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.quantize import quantize

ODD = Path(__file__).parents[2] / "fixtures/odd_float.tflite"
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def odd() -> bytes:
    return ODD.read_bytes()


@pytest.fixture(scope="module")
def pictures() -> Floats:
    return np.random.default_rng(0).random((60, 16, 16, 3), dtype=np.float32)


def test_operators_that_the_quantizer_does_not_know_are_integer(
    odd: bytes, pictures: Floats
) -> None:
    made = quantize(odd, pictures[:40], steps=()).model
    found = check.read(made)
    assert found.fully_integer
    assert {"LEAKY_RELU", "PRELU", "REDUCE_MAX", "TILE"} <= set(found.counts)
    assert "DEQUANTIZE" not in found.counts
    assert found.counts["QUANTIZE"] < 5, "nothing is rescaled without need"
    answers = (observe.answers(model, pictures[40:]) for model in (odd, made))
    assert compare(*answers).snr_db > 35


def test_what_shall_stay_float_is_not_joined(odd: bytes, pictures: Floats) -> None:
    network = Network.read(odd)
    (leaky,) = (op for op in network.ops if op.kind == "LEAKY_RELU")
    kept = {network.name(leaky.outputs[0])}
    found = check.read(quantize(odd, pictures[:25], steps=(), keep_float=kept).model)
    assert {o.name: o.floats for o in found.operators if o.floats} == {
        "DEQUANTIZE": 1,
        "LEAKY_RELU": 1,
        "QUANTIZE": 1,
    }
