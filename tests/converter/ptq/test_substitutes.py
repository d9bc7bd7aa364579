from pathlib import Path

import numpy as np

from littoral_converter import check
from littoral_converter.ptq import observe
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.quantize import quantize
from littoral_converter.ptq.substitutes import substitute

ATTENTION = Path(__file__).parents[2] / "fixtures/attention_float.tflite"


def test_a_sign_is_turned_by_a_product_and_attention_is_all_integer() -> None:
    data = ATTENTION.read_bytes()
    network = Network.read(data)
    assert "NEG" in [op.kind for op in network.ops]
    assert substitute(network) == 1
    assert "NEG" not in [op.kind for op in network.ops]
    tokens = np.random.default_rng(0).random((30, 12, 6), dtype=np.float32)
    assert np.array_equal(observe.answers(network.write(), tokens), observe.answers(data, tokens))
    assert check.read(quantize(data, tokens, steps=()).model).fully_integer


def test_what_has_kernels_stays(network: Network) -> None:
    before = network.write()
    assert substitute(network) == 0
    assert network.write() == before
