"""What is put right in a file that the quantizer wrote. Runs nothing."""

from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from littoral_converter.ptq import joining, versions
from littoral_converter.ptq.joining import Ranges


def finish(
    model: bytes, ranges: Ranges | None = None, *, spared: AbstractSet[str] = frozenset()
) -> bytes:
    """Return ``model`` with its constants inside the flatbuffer, and its operators' versions.

    With ``ranges``, operators that could be integer become it, but those whose outputs are
    ``spared``.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    # Old readers, and the Edge TPU's compiler, look for constants nowhere else.
    opened = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for buffer in opened.buffers:
        if buffer.data is not None:  # anything but an array is written byte by byte: seconds
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8)
    _align(opened)
    if ranges is not None:
        joining.join(opened, ranges, spared=spared)
    versions.settle(opened)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(opened))


def _align(model: Any) -> None:  # noqa: ANN401
    """Make all parts of a split alike: the quantizer forgets those that nobody reads."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    splits = {kinds.SPLIT, kinds.SPLIT_V, kinds.UNPACK}
    for graph in model.subgraphs:
        for op in graph.operators:
            if model.operatorCodes[op.opcodeIndex].builtinCode not in splits:
                continue
            parts = [graph.tensors[number] for number in op.outputs]
            known = [part for part in parts if part.type != schema.TensorType.FLOAT32]
            for part in parts if known else ():
                part.type, part.quantization = known[0].type, known[0].quantization
