from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from littoral.errors import ConversionError, MalformedError
from littoral_converter.ptq import observe
from littoral_converter.ptq.network import SIGNATURE, Network

KEYWORDS = Path(__file__).parents[4] / "shared/models/mlperf_tiny/kws_ref_model_float32.tflite"


def test_what_is_read_and_written_answers_the_same(
    tiny: bytes, digits: NDArray[np.float32]
) -> None:
    again = Network.read(tiny).write()
    assert np.array_equal(observe.answers(again, digits[:20]), observe.answers(tiny, digits[:20]))
    assert Network.read(again).write() == again


def test_a_changed_weight_changes_the_copy_and_not_the_first(
    network: Network, digits: NDArray[np.float32]
) -> None:
    before, copy = network.write(), network.copy()
    weights = copy.ops[0].inputs[1]
    value = copy.constant(weights)
    assert value is not None
    copy.set_constant(weights, value * 2)
    assert network.write() == before
    assert not np.allclose(
        observe.answers(copy.write(), digits[:5]), observe.answers(before, digits[:5])
    )
    with pytest.raises(ValueError, match="for"):
        copy.set_constant(weights, value[:1])


def test_names_are_unique_though_a_file_repeats_them(network: Network) -> None:
    raw = network._graph.tensors
    for tensor in raw:
        tensor.name = b"same"
    again = Network.read(network.write())
    names = [again.name(t) for t in range(len(raw))]
    assert len(set(names)) == len(names)
    assert names[:2] == ["same", "same;2"]


@pytest.mark.parametrize("data", [b"", b"nothing at all", b"\x10\0\0\0TFL3" + b"\xff" * 40])
def test_what_is_no_model_is_told(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Network.read(data)


def test_a_model_of_several_graphs_is_refused(network: Network) -> None:
    network._model.subgraphs *= 2
    with pytest.raises(ConversionError, match="found 2: loops"):
        Network.read(network.write())


@pytest.mark.skipif(not KEYWORDS.exists(), reason="shared models are not here")
def test_an_old_file_gets_a_signature_codes_and_float_weights() -> None:
    """Its weights are int8 beside float activations, and it has no signature at all."""
    network = Network.read(KEYWORDS.read_bytes())
    assert [op.kind for op in network.ops][:3] == ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert all(network.is_float(op.inputs[1]) for op in network.ops if "CONV" in op.kind)
    (signature,) = network._model.signatureDefs
    assert signature.signatureKey == SIGNATURE.encode()
    samples = np.random.default_rng(0).normal(size=(8, 49, 10, 1)).astype(np.float32) * 30
    hybrid = observe.answers(KEYWORDS.read_bytes(), samples)
    assert np.abs(observe.answers(network.write(), samples) - hybrid).max() < 0.15
