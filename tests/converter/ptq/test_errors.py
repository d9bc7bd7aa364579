import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq import errors
from littoral_converter.ptq.network import Network
from littoral_converter.ptq.quantize import quantize


def test_each_layer_tells_what_it_lost(tiny: bytes, digits: NDArray[np.float32]) -> None:
    network = Network.read(tiny)
    found = errors.layers(network, quantize(tiny, digits[:40], steps=()).model, digits[:60])
    assert [e.operator for e in found] == [op.kind for op in network.ops]
    assert all(10 < e.snr_db < 60 for e in found)
    exact = errors.layers(network, network.write(), digits[:5])
    assert all(e.snr_db == 200 for e in exact)
