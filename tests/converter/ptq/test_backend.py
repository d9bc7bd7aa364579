import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from littoral_converter import check
from littoral_converter.ptq import backend, judge, observe
from littoral_converter.ptq.backend import Plan
from littoral_converter.ptq.network import Network

Floats = NDArray[np.float32]
Ranges = dict[int, tuple[float, float]]


@pytest.fixture
def whole(network: Network, digits: Floats) -> Ranges:
    names = {network.name(t): t for t in network.activations}
    held = observe.survey(network.write(), digits[:50], names)
    return {names[n]: (min(s.low, 0), max(s.high, 0)) for n, s in held.items()}


def test_all_is_integer_and_nothing_lies_behind_the_flatbuffer(
    network: Network, whole: Ranges
) -> None:
    made = backend.quantize(network, whole)
    assert check.read(made).fully_integer
    model = schema.Model.GetRootAs(made, 0)
    assert all(model.Buffers(k).Offset() <= 1 for k in range(model.BuffersLength()))
    assert backend.quantize(network, whole) == made


def test_the_ranges_are_ours(network: Network, whole: Ranges) -> None:
    convolved = network.ops[0].outputs[0]
    made = Network.read(backend.quantize(network, whole | {convolved: (0.0, 2.55)}))
    tensor = made._graph.tensors[convolved]
    assert made.name(convolved) == network.name(convolved)
    assert tensor.quantization.scale[0] == pytest.approx(0.01, rel=1e-5)
    assert list(tensor.quantization.zeroPoint) == [-128]


def scales(model: bytes) -> set[int]:
    """Return how many scales the weights of dense layers have."""
    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)
    dense = [op for op in Network.read(model).ops if op.kind == "FULLY_CONNECTED"]
    return {graph.Tensors(op.inputs[1]).Quantization().ScaleLength() for op in dense}


def test_dense_layers_have_one_scale_where_an_edge_tpu_wants_it(
    network: Network, whole: Ranges
) -> None:
    assert scales(backend.quantize(network, whole)) == {10, 16}
    assert scales(backend.quantize(network, whole, Plan(dense_per_channel=False))) == {1}


def test_an_operator_can_be_left_alone(network: Network, whole: Ranges) -> None:
    (deep,) = (op.index for op in network.ops if op.kind == "DEPTHWISE_CONV_2D")
    left = check.read(backend.quantize(network, whole, Plan().but([deep], "float")))
    assert {o.name: o.floats for o in left.operators if o.floats} == {
        "DEPTHWISE_CONV_2D": 1,
        "DEQUANTIZE": 1,
        "QUANTIZE": 1,
    }


def test_one_that_is_widened_keeps_its_weights_in_eight_bits(
    network: Network, whole: Ranges
) -> None:
    every = [op.index for op in network.ops]
    sizes = {
        precision: len(backend.quantize(network, whole, Plan().but(every, precision)))
        for precision in ("int8", "widened", "float")
    }
    assert sizes["widened"] < 1.3 * sizes["int8"]
    assert sizes["float"] > 1.4 * sizes["widened"]


@pytest.mark.parametrize(
    ("kind", "most", "least_db"),
    [("dynamic", 0.75, 30), ("weights", 0.8, 30), ("float16", 0.8, 55)],
)
def test_weights_alone_are_stored_in_fewer_bits(
    tiny: bytes, digits: Floats, kind: backend.Cast, most: float, least_db: float
) -> None:
    made = backend.cast(tiny, kind)
    assert len(made) < most * len(tiny)
    exact, real = (observe.answers(m, digits[:100]) for m in (tiny, made))
    assert judge.compare(exact, real).snr_db > least_db
    assert backend.cast(tiny, kind) == made
    assert not any("INT16" in kind for kind in types(made))


def test_an_operator_of_few_weights_keeps_its_floats(tiny: bytes) -> None:
    operators = check.read(backend.cast(tiny, "dynamic")).operators
    assert {(o.name, o.version) for o in operators if o.name == "DEPTHWISE_CONV_2D"} == {
        ("DEPTHWISE_CONV_2D", 1)
    }


def test_activations_may_have_sixteen_bits(network: Network, whole: Ranges, digits: Floats) -> None:
    made = backend.quantize(network, whole, Plan(most="int16"))
    assert check.read(made).fully_integer
    assert {"INT16", "INT8"} <= types(made)
    narrow = backend.quantize(network, whole)
    exact = observe.answers(network.write(), digits[:100])
    wide, less = (judge.compare(exact, observe.answers(m, digits[:100])) for m in (made, narrow))
    assert wide.snr_db > less.snr_db


def types(model: bytes) -> set[str]:
    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)
    names = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    return {names[graph.Tensors(k).Type()] for k in range(graph.TensorsLength())}
