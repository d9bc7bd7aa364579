"""Any operator of the schema, put into a graph with constants of any kind, and any options."""

import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

from faults.hostile_graph import option
from faults.hostile_tensors import EDGES


def added(root: Any, chance: Random) -> None:
    """Any operator at all beside the others, with constants of any kind, and any options."""
    from ai_edge_litert import schema_py_generated as schema

    sub, operator, one = root.subgraphs[0], schema.OperatorT(), schema.OperatorCodeT()
    one.builtinCode = chance.randrange(210)
    one.deprecatedBuiltinCode = min(one.builtinCode, 127)
    one.version = chance.choice((1, 1, 1, 2, 3, 4))
    root.operatorCodes.append(one)
    operator.opcodeIndex = len(root.operatorCodes) - 1
    operator.inputs = [_operand(root, chance) for _ in range(chance.randrange(5))]
    operator.outputs = [constant(root, chance, [], None) for _ in range(chance.randrange(1, 3))]
    operator.builtinOptions = chance.choice(list(_every_options(schema)))()
    operator.builtinOptionsType = _number_of(schema, type(operator.builtinOptions).__name__)
    sub.operators.insert(chance.randrange(len(sub.operators) + 1), operator)
    if chance.random() < 0.5:
        option(root, chance)


def _operand(root: Any, chance: Random) -> int:
    sub = root.subgraphs[0]
    if chance.random() < 0.4:
        return chance.randrange(-1, len(sub.tensors))
    dims = [chance.choice((0, 1, 2, 3, 8)) for _ in range(chance.randrange(5))]
    which = chance.choice((0, 2, 3, 4, 6, 7, 9))  # of TensorType, by its bytes below
    count = int(np.prod(dims, dtype=np.int64)) * {0: 4, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1}[which]
    words = b"".join(
        struct.pack("<i", chance.choice((0, 1, 2, 3, -1, *EDGES))) for _ in range(count // 4 + 1)
    )
    return constant(root, chance, dims, words[:count], which=which)


def constant(
    root: Any, chance: Random, dims: list[int], data: bytes | None, *, which: int | None = None
) -> int:
    """Add a tensor to the first graph, with its buffer; return its index."""
    from ai_edge_litert import schema_py_generated as schema

    tensor, buffer = schema.TensorT(), schema.BufferT()
    buffer.data = None if data is None else np.frombuffer(data, np.uint8)
    root.buffers.append(buffer)
    tensor.name, tensor.shape, tensor.buffer = b"added", dims, len(root.buffers) - 1
    tensor.type = chance.choice((0, 2, 6, 9, 9)) if which is None else which
    root.subgraphs[0].tensors.append(tensor)
    return len(root.subgraphs[0].tensors) - 1


def _every_options(schema: Any) -> Iterator[Any]:
    for key in vars(schema.BuiltinOptions):
        made = getattr(schema, f"{key}T", None)
        if made is not None:
            yield made


def _number_of(schema: Any, class_name: str) -> int:
    return int(getattr(schema.BuiltinOptions, class_name.removesuffix("T")))
