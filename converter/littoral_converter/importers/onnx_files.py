"""An ONNX file as values: its ends, its shapes, its weights, wherever they may lie.

Weights may lie in files of their own, whose names stand in the model: only plain names beside it
are followed. Refuses to know how anything is converted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from littoral.errors import ConversionError, MalformedError
from littoral_converter.importers import layout
from littoral_converter.importers.layout import Node
from littoral_converter.importers.program import Open
from littoral_converter.tf_converter import one_line

_MAX_BYTES: Final = 2**31 - 1  # a protobuf's own limit
_STANDARD: Final = {"", "ai.onnx"}
_FLOAT: Final = 1
_CHANNELS: Final = frozenset(
    {
        *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool"),
        *("GlobalMaxPool", "BatchNormalization", "InstanceNormalization", "GroupNormalization"),
        *("DepthToSpace", "SpaceToDepth", "LRN", "Resize", "Upsample"),
    }
)
_EACH: Final = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "Sqrt", "Exp", "Log", "Clip", "Cast"),
        *("Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "HardSwish", "Identity", "Dropout"),
        *("Pad", "QuantizeLinear", "DequantizeLinear", "Min", "Max"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The one input and the one output, by their names; ``shape`` is one sample's."""

    source: str
    answer: str
    shape: Open


def load(path: Path) -> Any:  # noqa: ANN401
    """Return the model in ``path`` with all its weights.

    Raises:
        MalformedError: It is damaged.
        ConversionError: Its weights lie elsewhere, or it has operators that are not ONNX's.

    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import external_data_helper

    try:
        model = onnx.load(str(path), load_external_data=False)
        kept = _outside(external_data_helper, model)
        _check_places(path, kept)
        external_data_helper.load_external_data_for_model(model, str(path.parent))
        if model.ByteSize() > _MAX_BYTES:
            raise ConversionError(f"{path.name}: is larger than 2 GiB, which is not converted")
        onnx.checker.check_model(model)
    except (DecodeError, RecursionError, ValueError, OSError, onnx.checker.ValidationError) as e:
        raise MalformedError(f"{path.name}: the ONNX model is damaged: {one_line(e)}") from e
    foreign = sorted({n.domain for n in _all_nodes(model.graph)} - _STANDARD)
    if foreign:
        raise ConversionError(
            f"{path.name}: has operators of {', '.join(foreign)}, which only some programs know; "
            "export it with ONNX's own operators alone"
        )
    return model


def ends(model: Any) -> Ends:  # noqa: ANN401
    """Return the model's input and output.

    Raises:
        ConversionError: It has others than one of floats each.

    """
    weights = {one.name for one in model.graph.initializer}
    found = {
        "inputs": [one for one in model.graph.input if one.name not in weights],
        "outputs": list(model.graph.output),
    }
    for what, several in found.items():
        if len(several) != 1:
            names = ", ".join(one.name for one in several)
            raise ConversionError(
                f"expected a model of one input and one output, found {len(several)} {what} "
                f"({names}); this version converts no other"
            )
    (source,), (answer,) = found["inputs"], found["outputs"]
    for what, one in (("input", source), ("output", answer)):
        kind = one.type.tensor_type.elem_type
        if kind != _FLOAT:
            raise ConversionError(
                f"expected an {what} of float32, found {one.name!r} of {_kind(kind)}; give the "
                "model what follows the look-up of tokens, or export it in float32"
            )
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in _dims(source)]
    if not sizes:
        raise ConversionError(f"the input {source.name!r} has no shape; export the model with one")
    if (sizes[0] or 1) > 1:
        raise ConversionError(
            f"the batch is fixed at {sizes[0]}; export the model with an open batch, or one of 1"
        )
    return Ends(source=source.name, answer=answer.name, shape=tuple(n or None for n in sizes[1:]))


def nodes(model: Any) -> Iterator[Node]:  # noqa: ANN401
    """Yield the graph's operators by their role for the layout."""
    for node in model.graph.node:
        yield Node(
            role=layout.role(node.op_type, channels=_CHANNELS, each=_EACH),
            inputs=tuple(node.input),
            outputs=tuple(node.output),
        )


def pin(model: Any, ends_: Ends, shape: tuple[int, ...], path: Path) -> None:  # noqa: ANN401
    """Write ``model`` with batch 1 and ``shape``, simplified where that is possible."""
    import onnx
    import onnxsim

    for one in model.graph.input:
        if one.name == ends_.source:
            for dim, n in zip(_dims(one), (1, *shape), strict=True):
                dim.dim_value = n
    for one in model.graph.output:
        one.type.tensor_type.ClearField("shape")  # it follows from the input's
    del model.graph.value_info[:]
    try:
        model.CopyFrom(onnx.shape_inference.infer_shapes(model))
        simple, alike = onnxsim.simplify(model)
    # Both are native, and raise what they like; without them onnx2tf only has more to do.
    except Exception:  # noqa: BLE001
        simple, alike = model, True
    onnx.save(simple if alike else model, str(path))


def parameters(model: Any) -> int:  # noqa: ANN401
    """Return how many numbers the model's weights have."""
    import onnx

    kinds = {onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}
    weights = [one for one in model.graph.initializer if one.data_type not in kinds]
    return sum(int(np.prod(tuple(one.dims))) for one in weights)


def _outside(helper: Any, model: Any) -> list[str]:  # noqa: ANN401
    """Return the files in which weights lie."""
    tensors = helper._get_all_tensors(model)  # noqa: SLF001 (initializers are not all of them)
    kept = [t for t in tensors if helper.uses_external_data(t)]
    return [entry.value for t in kept for entry in t.external_data if entry.key == "location"]


def _check_places(path: Path, names: list[str]) -> None:
    folder = path.parent.resolve()
    for name in sorted(set(names)):
        place = (folder / name).resolve()
        plain = not PurePosixPath(name).is_absolute() and place.is_relative_to(folder)
        if not plain or (folder / name).is_symlink():
            raise ConversionError(
                f"{path.name}: says that its weights lie in {name!r}, outside its folder, which is "
                "never followed; put them beside it under a plain name"
            )
        if not place.is_file():
            raise MalformedError(f"{path.name}: its weights lie in {name!r}, which is not there")


def _all_nodes(graph: Any) -> Iterator[Any]:  # noqa: ANN401
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)
            for inner in attribute.graphs:
                yield from _all_nodes(inner)


def _dims(one: Any) -> Any:  # noqa: ANN401
    return one.type.tensor_type.shape.dim


def _kind(number: int) -> str:
    import onnx

    return str(onnx.TensorProto.DataType.Name(number)).lower()
