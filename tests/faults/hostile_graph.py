"""Mutants that are valid flatbuffers, and say something else: a graph with one thing changed."""

import contextlib
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import numpy as np

EDGES: Final = (-1, 0, 1, 2, 7, 255, 256, 30_000, 65_536, 2**30, 2**31 - 2, 2**31 - 1, -2, -(2**31))
REALS: Final = (0.0, -1.0, 1e-45, 1e-30, 1e30, 3e38, float("nan"), float("inf"), -float("inf"))

Edit = Callable[[Any, Random], None]


def edited(data: bytes, chance: Random) -> bytes:
    """Change one thing or two in the graph of ``data``."""
    for _ in range(100):
        root = unpacked(data)
        # What the schema's writer cannot write is no flatbuffer.
        with contextlib.suppress(
            ValueError, TypeError, IndexError, AttributeError, OverflowError, struct.error
        ):
            for _ in range(chance.choice((1, 1, 1, 2))):
                chance.choice(EDITS)(root, chance)
            return packed(root)
    raise RuntimeError("a hundred edits, and none that can be written")


def unpacked(data: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(data, 0)


def packed(root: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(root: Any, chance: Random) -> Any:
    return chance.choice(chance.choice(root.subgraphs).tensors)


def _operator(root: Any, chance: Random) -> Any:
    return chance.choice(chance.choice(root.subgraphs).operators)


def shape(root: Any, chance: Random) -> None:
    tensor = _tensor(root, chance)
    dims = [int(n) for n in (tensor.shape if tensor.shape is not None else ())]
    match chance.randrange(4):
        case 0:
            dims.insert(chance.randrange(len(dims) + 1), chance.choice(EDGES))
        case 1 if dims:
            dims.pop(chance.randrange(len(dims)))
        case 2:
            dims += [chance.choice((1, 2, 65_536))] * chance.choice((1, 4, 9, 300))
        case _:
            dims[-1:] = [chance.choice(EDGES)]
    tensor.shape = dims


def kind(root: Any, chance: Random) -> None:
    _tensor(root, chance).type = chance.randrange(-1, 22)


def buffer_of(root: Any, chance: Random) -> None:
    count = len(root.buffers)
    _tensor(root, chance).buffer = chance.choice((0, count, 2**31, 2**32 - 1, *range(count)))


def scale(root: Any, chance: Random) -> None:
    quantization = _quantized(root, chance)
    held = [float(x) for x in quantization.scale]
    if chance.random() < 0.3:
        held = held[: chance.randrange(len(held) + 1)] + [0.5] * chance.choice((0, 1, 50))
    else:
        held[chance.randrange(len(held))] = chance.choice(REALS)
    quantization.scale = held


def zero_point(root: Any, chance: Random) -> None:
    quantization = _quantized(root, chance)
    edges = (-129, -1, 0, 1, 127, 128, 255, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
    held = [int(x) for x in quantization.zeroPoint]
    held[chance.randrange(len(held))] = chance.choice(edges)
    quantization.zeroPoint = held if chance.random() < 0.8 else held * chance.choice((0, 3))


def channel(root: Any, chance: Random) -> None:
    _quantized(root, chance).quantizedDimension = chance.choice(EDGES)


def _quantized(root: Any, chance: Random) -> Any:
    tensors = [t for sub in root.subgraphs for t in sub.tensors]
    known = [t.quantization for t in tensors if t.quantization is not None]
    return chance.choice([one for one in known if one.scale is not None and len(one.scale)])


def variable(root: Any, chance: Random) -> None:
    _tensor(root, chance).isVariable = True


def sparse(root: Any, chance: Random) -> None:
    from ai_edge_litert import schema_py_generated as schema

    tensor, sparsity = _tensor(root, chance), schema.SparsityParametersT()
    sparsity.traversalOrder = [chance.choice((0, 1, 2, *EDGES)) for _ in range(chance.randrange(5))]
    sparsity.blockMap = [chance.choice((0, 1, *EDGES)) for _ in range(chance.randrange(3))]
    sparsity.dimMetadata = []
    for _ in range(chance.randrange(5)):
        one = schema.DimensionMetadataT()
        one.format, one.denseSize = chance.randrange(2), chance.choice(EDGES)
        sparsity.dimMetadata.append(one)
    tensor.sparsity = sparsity


def name(root: Any, chance: Random) -> None:
    names = (b"", b"\0", b"\xff\xfe", b"x" * 100_000, b"../../etc", b"%s%n")
    _tensor(root, chance).name = chance.choice(names)


def operands(root: Any, chance: Random) -> None:
    """Another tensor, none, or one that is not there, among what an operator takes or makes."""
    sub = chance.choice(root.subgraphs)
    operator = chance.choice(sub.operators)
    which = chance.choice(("inputs", "inputs", "outputs"))
    held = [int(n) for n in getattr(operator, which)]
    some = (-1, -2, len(sub.tensors), 2**31 - 1, -(2**31), *range(len(sub.tensors)))
    match chance.randrange(5):
        case 0:
            held.append(chance.choice(some))
        case 1:
            held.pop(chance.randrange(len(held)))
        case 2:
            chance.shuffle(held)
        case 3:
            held[0] = int(chance.choice(list(operator.outputs)))  # it feeds on itself
        case _:
            held[chance.randrange(len(held))] = chance.choice(some)
    setattr(operator, which, held)


def code_of(root: Any, chance: Random) -> None:
    count = len(root.operatorCodes)
    _operator(root, chance).opcodeIndex = chance.choice((count, 2**32 - 1, *range(count)))


def code(root: Any, chance: Random) -> None:
    one = chance.choice(root.operatorCodes)
    match chance.randrange(4):
        case 0:
            one.version = chance.choice(EDGES)
        case 1:
            one.builtinCode, one.deprecatedBuiltinCode = 32, 32  # CUSTOM
            one.customCode = chance.choice((b"", b"Evil", b"TFLite_Detection_PostProcess", b"%n"))
        case 2:
            one.deprecatedBuiltinCode = chance.choice((-128, -1, 0, 32, 127))
        case _:
            one.builtinCode = chance.choice((*range(210), *EDGES))
            one.deprecatedBuiltinCode = min(max(one.builtinCode, 0), 127)


def option(root: Any, chance: Random) -> None:
    """Another number in an operator's options: stride, dilation, padding, activation, axis."""
    with_options = [
        one for sub in root.subgraphs for one in sub.operators if one.builtinOptions is not None
    ]
    options = chance.choice(with_options).builtinOptions
    field = chance.choice([key for key, held in vars(options).items() if np.isscalar(held)])
    held = getattr(options, field)
    if isinstance(held, bool):
        setattr(options, field, not held)
    elif isinstance(held, float):
        setattr(options, field, chance.choice(REALS))
    else:
        setattr(options, field, chance.choice((*EDGES, 3, 5, 127)))


def options_of_another(root: Any, chance: Random) -> None:
    _operator(root, chance).builtinOptionsType = chance.randrange(0, 128)


def no_options(root: Any, chance: Random) -> None:
    operator = _operator(root, chance)
    operator.builtinOptions, operator.builtinOptionsType = None, chance.choice((0, 1, 8))


def custom_options(root: Any, chance: Random) -> None:
    operator = _operator(root, chance)
    operator.customOptions = list(chance.randbytes(chance.choice((0, 1, 100))))
    operator.largeCustomOptionsOffset = chance.choice((0, 2, 2**63))
    operator.largeCustomOptionsSize = chance.choice((0, 1, 2**40))


def order(root: Any, chance: Random) -> None:
    operators = chance.choice(root.subgraphs).operators
    match chance.randrange(4):
        case 0:
            operators.pop(chance.randrange(len(operators)))
        case 1:
            operators.append(chance.choice(operators))
        case 2:
            operators.reverse()
        case _:
            chance.shuffle(operators)


def border(root: Any, chance: Random) -> None:
    """Other inputs and outputs of the graph."""
    sub = chance.choice(root.subgraphs)
    which = chance.choice(("inputs", "outputs"))
    held = [int(n) for n in getattr(sub, which)]
    some = (-1, len(sub.tensors), 2**31 - 1, *range(len(sub.tensors)))
    held[chance.randrange(len(held))] = chance.choice(some)
    if chance.random() < 0.2:
        held = held * chance.choice((0, 2, 50))
    setattr(sub, which, held)


def contents(root: Any, chance: Random) -> None:
    """Another buffer: shorter, longer, other bytes, or somewhere behind the flatbuffer."""
    buffer = chance.choice([one for one in root.buffers if one.data is not None and len(one.data)])
    data = bytes(np.asarray(buffer.data, np.uint8).tobytes())
    match chance.randrange(5):
        case 0:
            data = data[: chance.randrange(len(data))]
        case 1:
            data += bytes(chance.choice((1, 3, 4096)))
        case 2:
            data = chance.randbytes(len(data))
        case 3:
            data = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * len(data)
        case _:
            buffer.offset = chance.choice((1, 2, 8, 2**31, 2**40, 2**63, 2**64 - 1))
            buffer.size = chance.choice((0, 1, len(data), 2**31, 2**63, 2**64 - 1))
            data = b""
    buffer.data = np.frombuffer(data, np.uint8)


def swapped(root: Any, chance: Random) -> None:
    """Two tensors in each other's place."""
    tensors = chance.choice(root.subgraphs).tensors
    a, b = (chance.randrange(len(tensors)) for _ in range(2))
    tensors[a], tensors[b] = tensors[b], tensors[a]


def signature(root: Any, chance: Random) -> None:
    one = chance.choice(root.signatureDefs)
    match chance.randrange(4):
        case 0:
            chance.choice([*one.inputs, *one.outputs]).tensorIndex = chance.choice(
                (0, 1, 10_000, 2**32 - 1)
            )
        case 1:
            one.subgraphIndex = chance.choice((1, 7, 2**32 - 1))
        case 2:
            one.signatureKey = chance.choice((b"", b"\0", b"\xff", b"x" * 10_000))
        case _:
            one.inputs = one.inputs * chance.choice((0, 2))


def graphs(root: Any, chance: Random) -> None:
    match chance.randrange(3):
        case 0:
            root.subgraphs = root.subgraphs * chance.choice((0, 2, 40))
        case 1:
            root.buffers = root.buffers[: chance.randrange(len(root.buffers))]
        case _:
            root.version = chance.choice((0, 1, 2, 4, 2**32 - 1))


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


EDITS: Final[tuple[Edit, ...]] = (
    shape,
    kind,
    buffer_of,
    scale,
    zero_point,
    channel,
    variable,
    sparse,
    name,
    operands,
    operands,
    code_of,
    code,
    option,
    option,
    options_of_another,
    no_options,
    custom_options,
    order,
    border,
    contents,
    swapped,
    signature,
    graphs,
    added,
    added,
    added,
)
