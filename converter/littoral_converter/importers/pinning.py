"""A .tflite of open shapes as one of fixed shapes, and without the arithmetic about them.

LiteRT itself is asked: which shapes follow from the input's, and what the operators answer that
then depend on nothing but constants.
"""

from typing import Any, Final

import numpy as np

_SHAPES: Final = "SHAPE"  # depends on its input's shape alone


def is_open(model: bytes) -> bool:
    """Return whether a shape in ``model``, the batch's too, is known only when it runs."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(model, 0).Subgraphs(0)
    tensors = (graph.Tensors(i) for i in range(graph.TensorsLength()))
    return any(t.ShapeSignature(k) < 0 for t in tensors for k in range(t.ShapeSignatureLength()))


def pinned(model: bytes, shape: tuple[int, ...]) -> bytes:
    """Return ``model`` with its input at batch 1 and ``shape``, and all that follows from it.

    Raises:
        RuntimeError: An operator cannot work on that shape.
        ValueError: The same.

    """
    from ai_edge_litert.tools import flatbuffer_utils as files

    interpreter = _ran(model, shape)
    made = files.read_model_from_bytearray(bytearray(model))
    graph = made.subgraphs[0]
    for found in interpreter.get_tensor_details():
        if found["index"] < len(graph.tensors):  # behind them are the kernels' own
            graph.tensors[found["index"]].shape = [int(n) for n in found["shape"]]
            graph.tensors[found["index"]].shapeSignature = None
    graph.operators = [o for o in graph.operators if not _folded(files, made, o, interpreter)]
    return bytes(files.convert_object_to_bytearray(made))


def _ran(model: bytes, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    (source,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(source["index"], (1, *shape))
    interpreter.allocate_tensors()
    interpreter.invoke()
    return interpreter


def _folded(files: Any, made: Any, operator: Any, interpreter: Any) -> bool:  # noqa: ANN401
    """Make the operator's answers constants if they always are the same, and tell."""
    from ai_edge_litert import schema_py_generated as schema

    graph = made.subgraphs[0]
    taken = [graph.tensors[k] for k in operator.inputs if k >= 0]
    name = files.opcode_to_name(made, operator.opcodeIndex)
    if name != _SHAPES and not (taken and all(_is_constant(made, one) for one in taken)):
        return False
    if any(k in list(graph.outputs) for k in operator.outputs):
        return False
    for k in operator.outputs:
        buffer = schema.BufferT()
        value = np.ascontiguousarray(interpreter.get_tensor(int(k)))
        buffer.data = value.reshape(-1).view(np.uint8)
        made.buffers.append(buffer)
        graph.tensors[k].buffer = len(made.buffers) - 1
    return True


def _is_constant(made: Any, tensor: Any) -> bool:  # noqa: ANN401
    return made.buffers[tensor.buffer].data is not None
