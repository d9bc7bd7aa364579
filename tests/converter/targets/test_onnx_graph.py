"""ONNX graphs: what a release needs of them, whatever order their writer had."""

import itertools
import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from littoral.errors import ConversionError
from littoral_converter.targets import onnx_graph


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray] | None = None,
    *,
    width: int | str = 4,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("input__3", "unk__1", width)],
        [value("Identity", "unk__2", 2)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def dense(*, numbers: tuple[int, int] = (7, 9), turned: bool = False) -> onnx.ModelProto:
    """A dense layer, as a writer would call it whose counter stood there."""
    first, second = (
        f"{name}__{n}" for name, n in zip(("product", "weights"), numbers, strict=True)
    )
    nodes = [
        helper.make_node("MatMul", ["input__3", second], [first], name=f"a{numbers[0]}"),
        helper.make_node("Relu", [first], ["Identity"], name=f"b{numbers[1]}"),
    ]
    weights = np.arange(8, dtype=np.float32).reshape(4, 2)
    if turned:
        nodes.reverse()
    return model(nodes, {second: weights, "unused__1": weights})


def test_borders_get_the_manifests_names_and_a_batch_of_one() -> None:
    found = dense()
    onnx_graph.settle(found, source="image", answer="digit")
    (source,), (answer,) = found.graph.input, found.graph.output
    assert (source.name, answer.name) == ("image", "digit")
    assert [d.dim_value for d in source.type.tensor_type.shape.dim] == [1, 4]
    assert [d.dim_value for d in answer.type.tensor_type.shape.dim] == [1, 2]
    assert [one.name for one in found.graph.initializer] == ["weights__1"]


def test_the_bytes_depend_on_the_graph_alone() -> None:
    """And not on where the writer's counter stood, or in which order it wrote."""
    seen = set()
    for k in range(6):
        found = dense(numbers=(k + 2, 90 - k), turned=bool(k % 2))
        onnx_graph.settle(found, source="image", answer="digit")
        seen.add(found.SerializeToString(deterministic=True))
    assert len(seen) == 1


def test_a_long_chain_in_any_order_comes_out_in_its_own() -> None:
    names = ["input__3", *(f"step__{k}" for k in range(2000)), "Identity"]
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in itertools.pairwise(names)]
    random.Random(0).shuffle(nodes)
    found = model(nodes, width=2)
    onnx_graph.settle(found, source="x", answer="y")
    assert [node.input[0] for node in found.graph.node[1:]] == [
        node.output[0] for node in found.graph.node[:-1]
    ]


def test_a_name_that_is_taken_inside_is_given_up_there() -> None:
    nodes = [
        helper.make_node("Relu", ["input__3"], ["image"]),
        helper.make_node("MatMul", ["image", "w"], ["Identity"]),
    ]
    found = model(nodes, {"w": np.ones((4, 2), np.float32)})
    onnx_graph.settle(found, source="image", answer="digit")
    assert found.graph.node[0].input[0] == "image"
    assert found.graph.node[0].output[0] == "image__inner"


def test_what_is_no_operator_of_onnx_is_named() -> None:
    found = model([helper.make_node("TFL_MAGIC", ["input__3"], ["Identity"])])
    with pytest.raises(ConversionError, match="no operator for TFL_MAGIC"):
        onnx_graph.settle(found, source="x", answer="y")


def test_a_shape_that_stays_open_is_refused() -> None:
    found = model([helper.make_node("Relu", ["input__3"], ["Identity"])], width="any")
    with pytest.raises(ConversionError, match="x: dimension 1 of its shape is open"):
        onnx_graph.settle(found, source="x", answer="y")


def quantized(*, zero: int = 0, scale: float = 0.1, kind: type = np.int8) -> onnx.ModelProto:
    pair = ["scale", "zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["input__3", *pair], ["q"]),
        helper.make_node("DequantizeLinear", ["q", *pair], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["product"]),
        helper.make_node("Relu", ["product"], ["after"]),
        helper.make_node("Softmax", ["after"], ["Identity"]),
    ]
    constants = {
        "scale": np.array(scale, np.float32),
        "zero": np.array(zero, kind),
        "w": np.ones((4, 2), np.float32),
    }
    return model(nodes, constants)


def test_symmetric_int8_is_what_tensorrt_takes() -> None:
    onnx_graph.require_explicit(quantized())


@pytest.mark.parametrize(
    "changed", [{"zero": 3}, {"scale": 0.0}, {"scale": float("nan")}, {"kind": np.uint8}]
)
def test_any_other_quantization_is_refused(changed: dict[str, int | float | type]) -> None:
    with pytest.raises(ConversionError, match="input__3: TensorRT takes symmetric int8"):
        onnx_graph.require_explicit(quantized(**changed))  # type: ignore[arg-type]


def test_an_operator_is_in_integers_where_all_that_goes_in_is_dequantized() -> None:
    found = {o.name: (o.count, o.floats) for o in onnx_graph.operators(quantized())}
    assert found["MatMul"] == (1, 0)
    assert found["Relu"] == (1, 0)
    assert found["Softmax"] == (1, 1)
    plain = {o.name: o.floats for o in onnx_graph.operators(dense())}
    assert plain["MatMul"] == 1
