"""Operators that the quantizer leaves in floating point, though there are integer kernels for them.

It stands them between a DEQUANTIZE and a QUANTIZE; here they are joined to the integers on both
sides. Rewrites the schema's records, and runs nothing.
"""

import copy
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np

from littoral_converter.ptq import usage

# What they give is of the same scale as what they take.
_SAME: Final = frozenset(
    {
        "BATCH_TO_SPACE_ND", "DEPTH_TO_SPACE", "EXPAND_DIMS", "REDUCE_MAX", "REVERSE_V2",
        "SPACE_TO_BATCH_ND", "SPLIT_V", "SQUEEZE", "TILE",
    }
)  # fmt: skip
# Their kernels go from one scale to another.
_OWN: Final = frozenset({"ABS", "ELU", "EXP", "LEAKY_RELU", "PRELU", "RELU6", "RELU_N1_TO_1"})
_INDEX: Final = frozenset({"ARG_MAX", "ARG_MIN"})  # what they give is no real value
_TOP: Final = 127
_LOWEST: Final = -128

Ranges = Mapping[str, tuple[float, float]]  # by tensor: the least and the largest real value


def join(model: Any, ranges: Ranges, *, spared: AbstractSet[str]) -> None:  # noqa: ANN401
    """Change ``model``, the schema's record.

    ``spared`` names the outputs of operators that are meant to stay in floating point.
    """
    _Joiner(model, ranges, spared).join()


class _Joiner:
    def __init__(self, model: Any, ranges: Ranges, spared: AbstractSet[str]) -> None:  # noqa: ANN401
        self._model, self._graph = model, model.subgraphs[0]
        self._ranges, self._spared = ranges, spared
        self._twins: dict[int, int] = {}  # of a tensor of floats the one of integers
        self._same: dict[int, int] = {}  # tensors that came to be another

    def join(self) -> None:
        made: list[Any] = []
        for operator in self._graph.operators:
            operator.inputs = [self._same.get(int(n), int(n)) for n in _listed(operator.inputs)]
            made += self._next(operator)
        self._graph.outputs = [self._same.get(int(n), int(n)) for n in self._graph.outputs]
        self._graph.operators = self._needed(made)
        for signature in self._model.signatureDefs or ():
            for entry in signature.outputs:
                entry.tensorIndex = self._same.get(entry.tensorIndex, entry.tensorIndex)

    def _next(self, operator: Any) -> list[Any]:  # noqa: ANN401
        """Return what stands in the operator's place."""
        kind, inputs = self._kind(operator), list(operator.inputs)
        if kind == "DEQUANTIZE" and self._type(inputs[0]) == "INT8":
            self._twins[int(operator.outputs[0])] = inputs[0]
        elif kind == "QUANTIZE" and inputs[0] in self._twins:
            return self._requantize(operator)
        elif kind in _SAME | _OWN | _INDEX and self._joins(operator):
            return self._joined(operator, kind)
        return [operator]

    def _joins(self, operator: Any) -> bool:  # noqa: ANN401
        moving = [n for n in operator.inputs if self._type(n) == "FLOAT32" and not self._fixed(n)]
        outputs = [self._graph.tensors[int(n)] for n in operator.outputs]
        return (
            bool(moving)
            and all(n in self._twins for n in moving)
            and not any(bytes(t.name).decode() in self._spared for t in outputs)
        )

    def _joined(self, operator: Any, kind: str) -> list[Any]:  # noqa: ANN401
        operator.inputs = [self._integer(n) for n in operator.inputs]
        if kind in _INDEX:
            return [operator]
        back = []
        for k, number in enumerate(map(int, operator.outputs)):
            twin = self._twin(number, of=operator.inputs[0] if kind in _SAME else None)
            operator.outputs[k] = self._twins[number] = twin
            back.append(self._operator("DEQUANTIZE", twin, number))
        return [operator, *back]

    def _requantize(self, operator: Any) -> list[Any]:  # noqa: ANN401
        """Go from integers to integers, and not at all where both are of one scale."""
        twin, result = self._twins[operator.inputs[0]], int(operator.outputs[0])
        if self._type(result) != "INT8":
            return [operator]
        one, other = (self._graph.tensors[n].quantization for n in (twin, result))
        same = np.allclose(one.scale, other.scale, rtol=1e-6)
        if same and list(one.zeroPoint) == list(other.zeroPoint):
            self._same[result] = twin
            # To the last bit: kernels that may not rescale compare it with what they give.
            self._graph.tensors[twin].quantization = other
            return []
        operator.inputs = [twin]
        return [operator]

    def _integer(self, number: int) -> int:
        """Return the integers that stand for a tensor, themselves where it is none of floats."""
        if number in self._twins:
            return self._twins[number]
        if number < 0 or self._type(number) != "FLOAT32":
            return number
        return self._stored(number)

    def _stored(self, number: int) -> int:
        """Return a constant of floats in eight bits."""
        from ai_edge_litert import schema_py_generated as schema

        tensor = copy.deepcopy(self._graph.tensors[number])
        value = np.frombuffer(bytes(self._model.buffers[tensor.buffer].data), "<f4")
        scale = max(float(np.abs(value).max()) / _TOP, 1e-8)
        buffer = schema.BufferT()
        stored = np.clip(np.round(value / scale), -_TOP, _TOP).astype(np.int8)
        buffer.data = np.frombuffer(stored.tobytes(), np.uint8)
        tensor.buffer = len(self._model.buffers)
        self._model.buffers.append(buffer)
        return self._add(tensor, scale, 0)

    def _twin(self, number: int, *, of: int | None) -> int:
        """Return integers for an output: of the scale of ``of``, or of its own range."""
        tensor = copy.deepcopy(self._graph.tensors[number])
        if of is not None:
            known = self._graph.tensors[of].quantization
            return self._add(tensor, float(known.scale[0]), int(known.zeroPoint[0]))
        low, high = self._ranges[bytes(tensor.name).decode()]
        scale = max(high - low, 1e-6) / (_TOP - _LOWEST)
        return self._add(tensor, scale, int(np.clip(round(_LOWEST - low / scale), _LOWEST, _TOP)))

    def _add(self, tensor: Any, scale: float, zero: int) -> int:  # noqa: ANN401
        from ai_edge_litert import schema_py_generated as schema

        tensor.type, tensor.name = schema.TensorType.INT8, bytes(tensor.name) + b";int8"
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator(self, kind: str, source: int, result: int) -> Any:  # noqa: ANN401
        from ai_edge_litert import schema_py_generated as schema

        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        self._model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = [source], [result]
        return made

    def _needed(self, operators: list[Any]) -> list[Any]:
        """Return the operators less each DEQUANTIZE whose floats nobody takes."""
        taken = {n for operator in operators for n in operator.inputs} | set(self._graph.outputs)
        return [
            operator
            for operator in operators
            if self._kind(operator) != "DEQUANTIZE" or int(operator.outputs[0]) in taken
        ]

    def _fixed(self, number: int) -> bool:
        data = self._model.buffers[self._graph.tensors[number].buffer].data
        return data is not None and len(data) > 0

    def _type(self, number: int) -> str:
        if number < 0:
            return ""
        return usage.names("TensorType")[self._graph.tensors[number].type]

    def _kind(self, operator: Any) -> str:  # noqa: ANN401
        code = self._model.operatorCodes[operator.opcodeIndex]
        return usage.names("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _listed(values: Any) -> Any:  # noqa: ANN401
    return () if values is None else values
