"""A .tflite file as plain values: tensors, constants and operators of its one subgraph."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model.backends.base import Array

_MAGIC: Final = b"TFL3"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTensor:
    """One tensor; ``scales`` and ``zero_points`` are empty, of one element, or one a channel."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: NDArray[np.float64]
    zero_points: NDArray[np.int64]
    data: Array | None  # a constant's value

    @property
    def scale(self) -> float:
        return float(self.scales[0]) if self.scales.size == 1 else 0.0

    @property
    def zero_point(self) -> int:
        return int(self.zero_points[0]) if self.scales.size == 1 else 0

    def spec(self, name: str | None = None) -> Tensor:
        """Return what the manifest says of it. Raises ValueError where it cannot be said."""
        return Tensor(
            name=name or self.name,
            shape=self.shape,
            dtype=self.dtype,  # type: ignore[arg-type]  # _dtype knows no other
            scale=self.scale,
            zero_point=self.zero_point,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator, by the schema's name; an input of -1 is left out."""

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any  # of the schema's object for this operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    tensors: tuple[GraphTensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    names: dict[int, str]  # by tensor index: what the model's one signature calls it


def read(model: bytes) -> Graph:
    """Return the graph in ``model``, the bytes of a .tflite file.

    Raises:
        BackendError: It is no such file, or has more than one subgraph.

    """
    from ai_edge_litert import schema_py_generated as schema

    if model[4:8] != _MAGIC:
        raise BackendError("this is not a .tflite file: it does not say TFL3")
    try:
        root = schema.ModelT.InitFromPackedBuf(model, 0)
        return _graph(root, model)
    except BackendError:
        raise
    except Exception as e:  # the generated reader raises whatever a wrong offset leads to
        raise BackendError(f"this .tflite file cannot be read: {e}") from e


def _graph(root: Any, model: bytes) -> Graph:  # noqa: ANN401
    if len(root.subgraphs) != 1:
        raise BackendError(f"expected one subgraph, found {len(root.subgraphs)}")
    sub = root.subgraphs[0]
    nodes = [
        _node(operator, root.operatorCodes[operator.opcodeIndex]) for operator in sub.operators
    ]
    return Graph(
        tensors=tuple(_tensor(t, root.buffers, model) for t in sub.tensors),
        nodes=tuple(nodes),
        inputs=tuple(map(int, sub.inputs)),
        outputs=tuple(map(int, sub.outputs)),
        names=_names(root.signatureDefs),
    )


def _node(operator: Any, code: Any) -> Node:  # noqa: ANN401
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    known = {value: name for name, value in vars(BuiltinOperator).items() if isinstance(value, int)}
    name = known.get(number, f"operator {number}")
    if name == "CUSTOM":
        name = code.customCode.decode(errors="replace")
    return Node(
        op=name,
        inputs=tuple(map(int, operator.inputs)),
        outputs=tuple(map(int, operator.outputs)),
        options=operator.builtinOptions,
    )


def _tensor(tensor: Any, buffers: Any, model: bytes) -> GraphTensor:  # noqa: ANN401
    dtype = _dtype(tensor.type)
    shape = tuple(int(n) for n in (tensor.shape if tensor.shape is not None else ()))
    buffer = buffers[tensor.buffer]
    data = None
    if buffer.data is not None and len(buffer.data):
        data = np.asarray(buffer.data, np.uint8).tobytes()
    elif buffer.offset > 1:  # a large buffer lies behind the flatbuffer
        data = model[buffer.offset : buffer.offset + buffer.size]
    quantization = tensor.quantization
    scales = getattr(quantization, "scale", None)
    zeros = getattr(quantization, "zeroPoint", None)
    return GraphTensor(
        name=tensor.name.decode(errors="replace"),
        shape=shape,
        dtype=dtype,
        scales=np.asarray([] if scales is None else scales, np.float64),
        zero_points=np.asarray([] if zeros is None else zeros, np.int64),
        data=None if data is None else np.frombuffer(data, dtype).reshape(shape),
    )


def _dtype(number: int) -> str:
    from ai_edge_litert.schema_py_generated import TensorType as T

    known = {
        T.FLOAT32: "float32",
        T.FLOAT16: "float16",
        T.INT8: "int8",
        T.UINT8: "uint8",
        T.INT16: "int16",
        T.INT32: "int32",
        T.INT64: "int64",
        T.BOOL: "bool",
    }
    if number not in known:
        raise BackendError(f"a tensor is of type {number} of the schema, which is not supported")
    return known[number]


def _names(signatures: Any) -> dict[int, str]:  # noqa: ANN401
    if signatures is None or len(signatures) != 1:
        return {}
    maps = [*signatures[0].inputs, *signatures[0].outputs]
    return {int(m.tensorIndex): m.name.decode(errors="replace") for m in maps}
