"""A .tflite without what stands between its borders and its arithmetic.

``widened``: weights that are only stored in fewer bits (float16 behind a DEQUANTIZE, integers in
an operator of floats) become floats. ``borders``: a model of integers that takes and gives floats
takes and gives integers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def widened(model: bytes) -> bytes:
    """Return ``model`` with weights in float32 where operators of floats have narrower ones."""
    schema, files, made = _opened(model)
    graph = made.subgraphs[0]
    kept, changed = [], False
    for operator in graph.operators:
        if len(operator.outputs) and _is_widening(schema, graph, operator):
            narrow = [k for k in operator.inputs if k >= 0 and _is_narrow(schema, made, graph, k)]
            changed = changed or bool(narrow)
            if narrow and _name(files, made, operator) == "DEQUANTIZE":
                _fill(schema, made, graph, narrow[0], operator.outputs[0])
                graph.tensors[narrow[0]].buffer = 0  # the schema's word for none
                continue
            for k in narrow:
                _fill(schema, made, graph, k, k)
        kept.append(operator)
    if not changed:
        return model
    graph.operators = kept
    _empty(made)
    return bytes(files.convert_object_to_bytearray(made))


def borders(model: bytes) -> bytes:
    """Return ``model`` without a QUANTIZE at its input and a DEQUANTIZE at its output."""
    _, files, made = _opened(model)
    graph = made.subgraphs[0]
    for operator in list(graph.operators):
        name = _name(files, made, operator)
        users = [o for o in graph.operators if operator.inputs[0] in list(o.inputs)]
        if name == "QUANTIZE" and operator.inputs[0] == graph.inputs[0] and len(users) == 1:
            graph.inputs = [int(operator.outputs[0])]
            graph.operators.remove(operator)
        elif name == "DEQUANTIZE" and operator.outputs[0] == graph.outputs[0]:
            graph.outputs = [int(operator.inputs[0])]
            graph.operators.remove(operator)
    made.signatureDefs = []
    return bytes(files.convert_object_to_bytearray(made))


def _empty(made: Any) -> None:  # noqa: ANN401
    """Empty the buffers that nothing holds any more."""
    held = {tensor.buffer for graph in made.subgraphs for tensor in graph.tensors}
    held |= {entry.buffer for entry in made.metadata or ()}
    for index, buffer in enumerate(made.buffers):
        if index not in held:
            buffer.data = None


def _is_widening(schema: Any, graph: Any, operator: Any) -> bool:  # noqa: ANN401
    given = {graph.tensors[k].type for k in operator.outputs}
    return given == {schema.TensorType.FLOAT32}


def _is_narrow(schema: Any, made: Any, graph: Any, index: int) -> bool:  # noqa: ANN401
    tensor = graph.tensors[index]
    kinds = {schema.TensorType.FLOAT16, schema.TensorType.INT8, schema.TensorType.UINT8}
    return tensor.type in kinds and made.buffers[tensor.buffer].data is not None


def _fill(schema: Any, made: Any, graph: Any, stored: int, wide: int) -> None:  # noqa: ANN401
    """Make tensor ``wide`` the floats that tensor ``stored`` stands for."""
    values = _values(schema, made, graph.tensors[stored])
    buffer = schema.BufferT()
    buffer.data = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
    made.buffers.append(buffer)
    graph.tensors[wide].buffer = len(made.buffers) - 1
    graph.tensors[wide].type = schema.TensorType.FLOAT32
    graph.tensors[wide].quantization = None


def _values(schema: Any, made: Any, tensor: Any) -> NDArray[np.float32]:  # noqa: ANN401
    raw = np.asarray(made.buffers[tensor.buffer].data, np.uint8)
    if tensor.type == schema.TensorType.FLOAT16:
        return raw.view(np.float16).astype(np.float32)
    kind = np.int8 if tensor.type == schema.TensorType.INT8 else np.uint8
    stored = raw.view(kind).reshape(tuple(tensor.shape)).astype(np.float32)
    scale = np.asarray(tensor.quantization.scale, np.float32)
    zero = np.asarray(tensor.quantization.zeroPoint, np.float32)
    along = [1] * stored.ndim
    if len(scale) > 1:
        along[tensor.quantization.quantizedDimension] = len(scale)
    return (stored - zero.reshape(along)) * scale.reshape(along)


def _opened(model: bytes) -> tuple[Any, Any, Any]:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils as files

    return schema, files, files.read_model_from_bytearray(bytearray(model))


def _name(files: Any, made: Any, operator: Any) -> str:  # noqa: ANN401
    return str(files.opcode_to_name(made, operator.opcodeIndex))
