from pathlib import Path

import numpy as np
import pytest

from littoral_converter.ptq import observe
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.relax import relax

TINY = Path(__file__).parents[4] / "shared/models/mlperf_tiny"


@pytest.mark.skipif(not TINY.exists(), reason="shared models are not here")
def test_an_average_of_a_whole_picture_becomes_a_mean() -> None:
    data = (TINY / "resnet8_float32.tflite").read_bytes()
    network = Network.read(data)
    assert relax(network) == 1
    kinds = [op.kind for op in network.ops]
    assert network.ops[kinds.index("MEAN")].options.keepDims
    assert "MEAN" in kinds
    assert "AVERAGE_POOL_2D" not in kinds
    samples = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    again = observe.answers(network.write(), samples)
    assert np.allclose(again, observe.answers(data, samples), atol=1e-5)


def test_an_average_of_parts_stays(network: Network) -> None:
    before = network.write()
    assert "AVERAGE_POOL_2D" in [op.kind for op in network.ops]
    assert relax(network) == 0
    assert network.write() == before
