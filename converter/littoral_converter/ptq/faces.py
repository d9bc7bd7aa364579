"""A quantized file's input and output as uint8, for callers that have bytes. Runs nothing.

A QUANTIZE operator at either end moves the zero by 128; what lies between stays int8.
"""

import copy
from typing import Any

from littoral.errors import ConversionError


def as_uint8(model: bytes) -> bytes:
    """Return ``model`` with uint8 for every int8 input and output.

    Raises:
        ConversionError: An input or output is not int8.

    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    opened = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = opened.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 1
    opened.operatorCodes.append(code)
    kind = len(opened.operatorCodes) - 1
    faces = {int(t): _face(graph, int(t)) for t in (*graph.inputs, *graph.outputs)}
    first = [_quantize(kind, faces[int(t)], int(t)) for t in graph.inputs]
    last = [_quantize(kind, int(t), faces[int(t)]) for t in graph.outputs]
    graph.operators = [*first, *graph.operators, *last]
    graph.inputs = [faces[int(t)] for t in graph.inputs]
    graph.outputs = [faces[int(t)] for t in graph.outputs]
    for signature in opened.signatureDefs or ():
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = faces[entry.tensorIndex]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(opened))


def _face(graph: Any, tensor: int) -> int:  # noqa: ANN401
    """Add a uint8 tensor of the same real values; the inner one gets another name."""
    from ai_edge_litert import schema_py_generated as schema

    inner = graph.tensors[tensor]
    if inner.type != schema.TensorType.INT8:
        raise ConversionError(
            f"{inner.name.decode()}: expected int8 at the model's ends, found another type; "
            "uint8 is for models that are integer there"
        )
    outer = copy.deepcopy(inner)
    outer.type, outer.buffer = schema.TensorType.UINT8, 0
    outer.quantization.zeroPoint = [int(z) + 128 for z in inner.quantization.zeroPoint]
    inner.name = inner.name + b";int8"
    graph.tensors.append(outer)
    return len(graph.tensors) - 1


def _quantize(kind: int, source: int, result: int) -> Any:  # noqa: ANN401
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = kind, [source], [result]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator
