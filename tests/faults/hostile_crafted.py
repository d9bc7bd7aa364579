"""Mutants that mean harm: loops without an end, calls of themselves, tensors of billions.

Whatever they add stands beside the honest graph, whose outputs stay right: who is fooled by right
outputs is fooled here.
"""

import struct
from random import Random
from typing import Any, Final

from faults.hostile_added import constant
from faults.hostile_graph import packed, unpacked
from faults.hostile_tensors import EDGES

_FLOAT, _INT32, _BOOL = 0, 2, 6
_NEVER: Final = 2**31 - 1
# Of BuiltinOperator.
_ADD, _RESHAPE, _GATHER, _EQUAL, _MAX = 0, 22, 36, 71, 82
_LESS, _TILE, _FILL, _RANGE, _CALL_ONCE, _IF, _WHILE = 58, 69, 94, 96, 129, 118, 119
_BROADCAST, _CALL = 130, 31


def endless(data: bytes, chance: Random) -> bytes:
    """A loop that counts to somewhere far, or never gets on."""
    root = unpacked(data)
    step = chance.choice((0, 0, 1, -1))
    _loop(root, chance, cond=_less(root, _NEVER), body=_plus(root, step))
    return packed(root)


def endless_on_zeros(data: bytes, chance: Random) -> bytes:
    """A loop that ends on golden inputs, and never on zeros."""
    root = unpacked(data)
    sub = root.subgraphs[0]
    image = int(sub.inputs[0])
    if sub.tensors[image].type != _FLOAT:
        return endless(data, chance)
    made = constant(root, chance, [], None, which=_FLOAT)
    dims = len(sub.tensors[image].shape)
    axes = constant(root, chance, [dims], struct.pack(f"<{dims}i", *range(dims)), which=_INT32)
    schema = _schema()
    _operator(root, 0, _MAX, [image, axes], [made], schema.ReducerOptionsT())
    cond, body = _subgraph(root, [_FLOAT]), _subgraph(root, [_FLOAT])
    nothing = _tensor(root, cond, _FLOAT, struct.pack("<f", 0.0))
    _operator(root, cond, _EQUAL, [0, nothing], [_tensor(root, cond, _BOOL)], _equal())
    root.subgraphs[cond].outputs = [2]
    nothing = _tensor(root, body, _FLOAT, struct.pack("<f", 0.0))
    _operator(root, body, _ADD, [0, nothing], [_tensor(root, body, _FLOAT)], schema.AddOptionsT())
    root.subgraphs[body].outputs = [2]
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = cond, body
    end = constant(root, chance, [], None, which=_FLOAT)
    _operator(root, 0, _WHILE, [made], [end], options)
    return packed(root)


def recursive(data: bytes, chance: Random) -> bytes:
    """Graphs that call themselves, each other, or one that is not there."""
    root, schema = unpacked(data), _schema()
    body = _plus(root, 1)
    where = chance.choice((0, body, body, len(root.subgraphs), *EDGES))
    taken = constant(root, chance, [], struct.pack("<i", 0), which=_INT32)
    made = constant(root, chance, [], None, which=_INT32)
    match chance.randrange(4):
        case 0:
            options = schema.CallOnceOptionsT()
            options.initSubgraphIndex = where
            _operator(root, chance.choice((0, body)), _CALL_ONCE, [], [], options)
        case 1:
            options = schema.IfOptionsT()
            options.thenSubgraphIndex, options.elseSubgraphIndex = where, body
            yes = constant(root, chance, [], b"\1", which=_BOOL)
            _operator(root, 0, _IF, [yes, taken], [made], options)
            yes = _tensor(root, body, _BOOL, b"\1")
            _operator(root, body, _IF, [yes, 0], [2], options)
        case 2:
            options = schema.CallOptionsT()
            options.subgraph = where % 2**32
            _operator(root, chance.choice((0, body)), _CALL, [0], [2], options)
        case _:
            cond = _less(root, 3)
            options = schema.WhileOptionsT()
            options.condSubgraphIndex, options.bodySubgraphIndex = cond, body
            _operator(root, body, _WHILE, [0], [2], options)
            _loop(root, chance, cond=cond, body=body)
    return packed(root)


def huge(data: bytes, chance: Random) -> bytes:
    """Tensors of billions of elements, or whose count turns over."""
    root, schema = unpacked(data), _schema()
    size = chance.choice((2**20, 2**24, 2**28, 2**30, 2**31 - 1, 65_536, -1, 0))
    dims = [size] * chance.choice((1, 1, 2, 4))
    shape = constant(root, chance, [len(dims)], struct.pack(f"<{len(dims)}i", *dims), which=_INT32)
    one = constant(root, chance, [], struct.pack("<i", 1), which=_INT32)
    made = constant(root, chance, [], None, which=_INT32)
    match chance.randrange(5):
        case 0:
            _operator(root, 0, _FILL, [shape, one], [made], schema.FillOptionsT())
        case 1:
            _operator(root, 0, _BROADCAST, [one, shape], [made], schema.BroadcastToOptionsT())
        case 2:
            ends = [
                constant(root, chance, [], struct.pack("<i", n), which=_INT32)
                for n in (0, chance.choice(EDGES), chance.choice((0, 1, -1)))
            ]
            _operator(root, 0, _RANGE, ends, [made], schema.RangeOptionsT())
        case 3:
            row = constant(root, chance, [1] * len(dims), bytes(4), which=_INT32)
            _operator(root, 0, _TILE, [row, shape], [made], schema.TileOptionsT())
        case _:
            options = schema.ReshapeOptionsT()
            options.newShape = dims
            _operator(root, 0, _RESHAPE, [int(root.subgraphs[0].inputs[0])], [made], options)
    return packed(root)


def beyond(data: bytes, chance: Random) -> bytes:
    """Rows of a table that has no such rows."""
    root, schema = unpacked(data), _schema()
    table = constant(root, chance, [3, 2], bytes(24), which=_FLOAT)
    rows = constant(
        root, chance, [2], struct.pack("<2i", 0, chance.choice((*EDGES, 3, 1000))), which=_INT32
    )
    options = schema.GatherOptionsT()
    options.axis, options.batchDims = chance.choice((0, 1, *EDGES)), chance.choice((0, 1, -1))
    made = constant(root, chance, [2, 2], None, which=_FLOAT)
    _operator(root, 0, _GATHER, [table, rows], [made], options)
    return packed(root)


def _loop(root: Any, chance: Random, *, cond: int, body: int) -> None:
    options = _schema().WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = cond, body
    begin = constant(root, chance, [], struct.pack("<i", 0), which=_INT32)
    end = constant(root, chance, [], None, which=_INT32)
    _operator(root, 0, _WHILE, [begin], [end], options)


def _less(root: Any, end: int) -> int:
    """Add a graph that asks whether its input is less than ``end``."""
    cond = _subgraph(root, [_INT32])
    limit = _tensor(root, cond, _INT32, struct.pack("<i", end))
    _operator(root, cond, _LESS, [0, limit], [_tensor(root, cond, _BOOL)], _schema().LessOptionsT())
    root.subgraphs[cond].outputs = [2]
    return cond


def _plus(root: Any, step: int) -> int:
    """Add a graph that returns its input and ``step``."""
    body = _subgraph(root, [_INT32])
    one = _tensor(root, body, _INT32, struct.pack("<i", step))
    _operator(root, body, _ADD, [0, one], [_tensor(root, body, _INT32)], _schema().AddOptionsT())
    root.subgraphs[body].outputs = [2]
    return body


def _subgraph(root: Any, inputs: list[int]) -> int:
    sub = _schema().SubGraphT()
    sub.tensors, sub.operators, sub.name = [], [], b"added"
    root.subgraphs.append(sub)
    index = len(root.subgraphs) - 1
    sub.inputs = [_tensor(root, index, kind) for kind in inputs]
    return index


def _tensor(root: Any, sub: int, kind: int, data: bytes | None = None) -> int:
    held = root.subgraphs[0]
    root.subgraphs[0] = root.subgraphs[sub]
    try:
        return constant(root, Random(0), [], data, which=kind)
    finally:
        root.subgraphs[0] = held


def _operator(  # noqa: PLR0917 (as the schema has them)
    root: Any, sub: int, code: int, inputs: list[int], outputs: list[int], options: Any
) -> None:
    schema = _schema()
    operator, one = schema.OperatorT(), schema.OperatorCodeT()
    one.builtinCode, one.deprecatedBuiltinCode = code, min(code, 127)
    root.operatorCodes.append(one)
    operator.opcodeIndex = len(root.operatorCodes) - 1
    operator.inputs, operator.outputs = inputs, outputs
    operator.builtinOptions = options
    name = type(options).__name__.removesuffix("T")
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    root.subgraphs[sub].operators.append(operator)


def _equal() -> Any:
    return _schema().EqualOptionsT()


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated
