"""A float .tflite file that can be rewritten: its operators, constants and options.

Reading makes it ready to be quantized: what old converters left out or did in their own way
(signature, operator codes, weights of eight bits beside float activations) is put right, so
that those who rewrite it need not know. Runs nothing.
"""

import copy
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError, MalformedError

SIGNATURE: Final = "serving_default"
_MARK: Final = b"TFL3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operator; an absent optional input is -1."""

    index: int
    kind: str  # as the schema names it
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any  # the schema's record of this kind's options, or None


class Network:
    """The one graph of a float model. Tensors are numbers; their names are unique."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._model = model
        self._graph = model.subgraphs[0]
        self.ops = tuple(self._ops())

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return the network in ``data``.

        Raises:
            MalformedError: It is no TFLite model, or damaged.
            ConversionError: It has loops or conditions, which are graphs of their own.

        """
        from ai_edge_litert.tools import flatbuffer_utils

        if data[4:8] != _MARK:
            raise MalformedError("expected a TFLite model, found something else")
        try:
            model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
        except (struct.error, IndexError, TypeError, ValueError, AttributeError) as e:
            raise MalformedError(f"the TFLite model is damaged: {e}") from e
        if len(model.subgraphs) != 1:
            raise ConversionError(
                f"expected a model of one graph, found {len(model.subgraphs)}: loops and "
                "conditions cannot be quantized here; unroll them"
            )
        _name_operators(model)
        _name_tensors(model.subgraphs[0])
        _sign(model)
        network = cls(model)
        network._widen()
        return network

    def copy(self) -> Self:
        """Return one that can be changed without changing this."""
        return type(self)(copy.deepcopy(self._model))

    def write(self) -> bytes:
        """Return the file. Equal networks give equal bytes."""
        from ai_edge_litert.tools import flatbuffer_utils

        return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

    @property
    def inputs(self) -> tuple[int, ...]:
        return tuple(map(int, self._graph.inputs))

    @property
    def outputs(self) -> tuple[int, ...]:
        return tuple(map(int, self._graph.outputs))

    @property
    def activations(self) -> tuple[int, ...]:
        """Tensors of floating point that depend on the input, in the order they come to be.

        Not those that nobody reads, as a part of a split may be: no runtime keeps their values.
        """
        read = {t for op in self.ops for t in op.inputs}.union(self.outputs)
        made = (t for op in self.ops for t in op.outputs if t in read)
        return tuple(t for t in (*self.inputs, *made) if self.is_float(t))

    def is_float(self, tensor: int) -> bool:
        from ai_edge_litert import schema_py_generated as schema

        return bool(self._graph.tensors[tensor].type == schema.TensorType.FLOAT32)

    def name(self, tensor: int) -> str:
        return str(self._graph.tensors[tensor].name.decode())

    def shape(self, tensor: int) -> tuple[int, ...]:
        shape = self._graph.tensors[tensor].shape
        return () if shape is None else tuple(map(int, shape))

    def consumers(self, tensor: int) -> tuple[Op, ...]:
        return tuple(op for op in self.ops if tensor in op.inputs)

    def constant(self, tensor: int) -> NDArray[Any] | None:
        """Return the value of a constant of float32, int32 or int64; None for what is none."""
        from ai_edge_litert import schema_py_generated as schema

        if tensor < 0:
            return None
        found = self._graph.tensors[tensor]
        data = self._model.buffers[found.buffer].data
        kinds = schema.TensorType
        dtype = {kinds.FLOAT32: "<f4", kinds.INT32: "<i4", kinds.INT64: "<i8"}.get(found.type)
        if data is None or len(data) == 0 or dtype is None:
            return None
        return np.frombuffer(bytes(data), dtype).reshape(self.shape(tensor))

    def sole(self, tensor: int) -> bool:
        """Whether a constant belongs to one operator alone, so that it may be changed for it."""
        buffer = self._graph.tensors[tensor].buffer
        sharing = {i for i, t in enumerate(self._graph.tensors) if t.buffer == buffer}
        return sum(len(sharing.intersection(op.inputs)) for op in self.ops) == 1

    def set_constant(self, tensor: int, value: NDArray[Any]) -> None:
        """Put ``value``, of the tensor's own shape, in a constant's place."""
        if value.shape != self.shape(tensor):
            raise ValueError(f"{self.name(tensor)}: {value.shape} for {self.shape(tensor)}")
        data = np.ascontiguousarray(value, "<f4" if self.is_float(tensor) else "<i4").tobytes()
        self._model.buffers[self._graph.tensors[tensor].buffer].data = np.frombuffer(data, np.uint8)

    def add_constant(self, name: str, value: NDArray[np.int32] | NDArray[np.float32]) -> int:
        """Return the number of a new constant."""
        from ai_edge_litert import schema_py_generated as schema

        buffer, tensor = schema.BufferT(), schema.TensorT()
        real = value.dtype.kind == "f"
        buffer.data = np.frombuffer(value.astype("<f4" if real else "<i4").tobytes(), np.uint8)
        tensor.type = schema.TensorType.FLOAT32 if real else schema.TensorType.INT32
        tensor.shape, tensor.name = list(value.shape), name.encode()
        tensor.buffer = len(self._model.buffers)
        self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def change(self, op: Op, *, kind: str, inputs: tuple[int, ...], options: Any) -> None:  # noqa: ANN401
        """Make another operator of ``op``, with the same outputs. ``options``: its record."""
        from ai_edge_litert import schema_py_generated as schema

        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        self._model.operatorCodes.append(code)
        raw = self._graph.operators[op.index]
        raw.opcodeIndex, raw.inputs = len(self._model.operatorCodes) - 1, list(inputs)
        raw.builtinOptions = options
        raw.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        self.ops = tuple(self._ops())

    def _ops(self) -> Any:  # noqa: ANN401
        from ai_edge_litert import schema_py_generated as schema

        names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        for index, raw in enumerate(self._graph.operators):
            code = self._model.operatorCodes[raw.opcodeIndex].builtinCode
            yield Op(
                index=index,
                kind=names.get(code, "CUSTOM"),
                inputs=() if raw.inputs is None else tuple(map(int, raw.inputs)),
                outputs=() if raw.outputs is None else tuple(map(int, raw.outputs)),
                options=raw.builtinOptions,
            )

    def _widen(self) -> None:
        """Turn weights of eight bits beside float activations into the floats they stand for."""
        from ai_edge_litert import schema_py_generated as schema

        for op in self.ops:
            for number in op.inputs:
                tensor = self._graph.tensors[number]
                data = self._model.buffers[tensor.buffer].data if number >= 0 else None
                if data is None or len(data) == 0 or tensor.type != schema.TensorType.INT8:
                    continue
                stored = np.frombuffer(bytes(data), np.int8).reshape(self.shape(number))
                scale = np.asarray(tensor.quantization.scale, np.float32)
                if len(scale) > 1:
                    along = [1] * stored.ndim
                    along[tensor.quantization.quantizedDimension] = -1
                    scale = scale.reshape(along)
                tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
                self.set_constant(number, stored * scale)


def _name_operators(model: Any) -> None:  # noqa: ANN401
    """Fill the wider field of the operators' codes, which came later than old files."""
    for code in model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)


def _name_tensors(graph: Any) -> None:  # noqa: ANN401
    """Make names unique: ranges are given to the quantizer by name."""
    seen: Counter[bytes] = Counter()
    for tensor in graph.tensors:
        name = tensor.name or b"tensor"
        seen[name] += 1
        tensor.name = name if seen[name] == 1 else b"%b;%d" % (name, seen[name])


def _sign(model: Any) -> None:  # noqa: ANN401
    """Give a model without a signature one, from its inputs and outputs."""
    from ai_edge_litert import schema_py_generated as schema

    if model.signatureDefs:
        return
    graph, signature = model.subgraphs[0], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs = _maps(graph.inputs, "input")
    signature.outputs = _maps(graph.outputs, "output")
    model.signatureDefs = [signature]


def _maps(tensors: list[int], word: str) -> list[Any]:
    from ai_edge_litert import schema_py_generated as schema

    made = []
    for number, tensor in enumerate(tensors):
        entry = schema.TensorMapT()
        entry.name = (word if len(tensors) == 1 else f"{word}_{number}").encode()
        entry.tensorIndex = int(tensor)
        made.append(entry)
    return made
