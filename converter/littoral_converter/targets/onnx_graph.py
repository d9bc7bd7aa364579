"""Makes an ONNX graph what a release needs: named borders, fixed shapes; and tells what is in it.

Knows the format; refuses to know how a graph came about, and runs none.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.check import Operator

# What TensorRT and ONNX Runtime compute in integers, where all that goes in is dequantized.
QUANTIZED: Final = (
    "Add",
    "AveragePool",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "GlobalAveragePool",
    "MatMul",
    "MaxPool",
)
# These are fused into what goes before, or move numbers without computing any.
_FOLLOWING: Final = frozenset(
    {
        "Clip",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Relu",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)


def settle(model: Any, *, source: str, answer: str) -> None:  # noqa: ANN401
    """Give ``model`` the border names ``source`` and ``answer``, and a batch of one.

    Raises:
        ConversionError: It has several inputs or outputs, or an open shape, or operators that are
            none of ONNX's.

    """
    import onnx

    graph = model.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise ConversionError(
            f"expected an ONNX graph of one input and one output, found {len(graph.input)} and "
            f"{len(graph.output)}"
        )
    strange = sorted(
        {n.op_type for n in graph.node if not n.domain and not onnx.defs.has(n.op_type)}
    )
    if strange:
        raise ConversionError(
            f"ONNX has no operator for {', '.join(strange)} of this model; build it without them, "
            "or leave the target jetson out"
        )
    _order(graph)
    _rename(graph, {graph.input[0].name: source, graph.output[0].name: answer})
    for value in (graph.input[0], graph.output[0]):
        _fix(value)
    del graph.value_info[:]  # what was told of open shapes; it is worked out anew
    inferred = onnx.shape_inference.infer_shapes(model)
    model.CopyFrom(inferred)
    onnx.checker.check_model(model)


def operators(model: Any) -> tuple[Operator, ...]:  # noqa: ANN401
    """Return what ``model`` is made of; ``floats`` are those that are not computed in integers."""
    (version,) = (o.version for o in model.opset_import if not o.domain)
    found = Counter(node.op_type for node in model.graph.node)
    floats = Counter(_floats(model.graph))
    return tuple(
        Operator(name=name, version=version, count=count, floats=floats[name])
        for name, count in sorted(found.items())
    )


def constant_bytes(model: Any) -> int:  # noqa: ANN401
    import onnx

    return sum(onnx.numpy_helper.to_array(one).nbytes for one in model.graph.initializer)


def require_explicit(model: Any) -> None:  # noqa: ANN401
    """Do nothing if TensorRT can take ``model``'s quantization: symmetric int8, scales above 0.

    Raises:
        ConversionError: It cannot; says of which tensor.

    """
    import onnx

    known = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        scale, zero = (known.get(name) for name in node.input[1:3])
        # Biases are int32 where they are quantized at all; TensorRT wants them in floating point.
        if not _positive(scale) or zero is None or zero.dtype != np.int8 or zero.any():
            raise ConversionError(
                f"{node.input[0]}: TensorRT takes symmetric int8 with scales above 0; look at the "
                "calibration samples"
            )


def _positive(scale: NDArray[np.float32] | None) -> bool:
    return scale is not None and bool(np.isfinite(scale).all() and (scale > 0).all())


def _floats(graph: Any) -> Iterator[str]:  # noqa: ANN401
    """Walk the types of the nodes that are computed in floating point."""
    made = {name: node for node in graph.node for name in node.output}
    constants = {one.name for one in graph.initializer}
    for node in graph.node:
        if node.op_type in _FOLLOWING:
            continue
        fed = [made[name].op_type for name in node.input if name in made]
        fed += ["" for name in node.input[:2] if name not in made and name not in constants]
        if node.op_type not in QUANTIZED or any(kind != "DequantizeLinear" for kind in fed):
            yield node.op_type


def _order(graph: Any) -> None:  # noqa: ANN401
    """Order nodes and constants by what the output needs first, and number their names so.

    The writer's order and numbers depend on where its objects lay in memory; ours on the graph.
    """
    made = {name: node for node in graph.node for name in node.output}
    ordered: list[Any] = []
    seen: set[int] = set()
    ahead = [(made[graph.output[0].name], iter(made[graph.output[0].name].input))]
    while ahead:
        node, left = ahead[-1]
        before = next((made[n] for n in left if n in made and id(made[n]) not in seen), None)
        if before is not None:
            ahead.append((before, iter(before.input)))
            continue
        ahead.pop()
        if id(node) not in seen:
            seen.add(id(node))
            ordered.append(node)
    names: dict[str, str] = {}
    for node in ordered:
        for name in (*node.input, *node.output):
            base, mark, number = name.rpartition("__")
            if mark and number.isdigit():
                names.setdefault(name, f"{base}__{len(names)}")
    constants = {one.name: one for one in graph.initializer}
    used = dict.fromkeys(name for node in ordered for name in node.input if name in constants)
    kept = [constants[name] for name in used]
    _replace(graph.node, ordered)
    _replace(graph.initializer, kept)
    _rename(graph, names)
    for k, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{k}"


def _replace(found: Any, wanted: list[Any]) -> None:  # noqa: ANN401
    copies = [type(one).FromString(one.SerializeToString()) for one in wanted]
    del found[:]
    found.extend(copies)


def _rename(graph: Any, names: dict[str, str]) -> None:  # noqa: ANN401
    """Call values by ``names``; what has such a name already gets another."""
    values = {name for node in graph.node for name in (*node.input, *node.output)}
    values |= {one.name for one in graph.initializer}
    for new in (set(names.values()) & values) - set(names):
        names = {**names, new: f"{new}__inner"}
    for node in graph.node:
        for found in (node.input, node.output):
            found[:] = [names.get(name, name) for name in found]
    for one in (*graph.initializer, *graph.input, *graph.output):
        one.name = names.get(one.name, one.name)


def _fix(value: Any) -> None:  # noqa: ANN401
    shape = value.type.tensor_type.shape.dim
    if not shape:
        return
    shape[0].ClearField("dim_param")
    shape[0].dim_value = 1
    open_ = [k for k, dim in enumerate(shape) if dim.dim_value < 1]
    if open_:
        raise ConversionError(
            f"{value.name}: dimension {open_[0]} of its shape is open, and a device needs all fixed"
        )
