"""Edits of a model's tensors and buffers: of what an operator is given and makes."""

from random import Random
from typing import Any, Final

import numpy as np

EDGES: Final = (-1, 0, 1, 2, 7, 255, 256, 30_000, 65_536, 2**30, 2**31 - 2, 2**31 - 1, -2, -(2**31))
REALS: Final = (0.0, -1.0, 1e-45, 1e-30, 1e30, 3e38, float("nan"), float("inf"), -float("inf"))


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


def _quantized(root: Any, chance: Random) -> Any:
    tensors = [t for sub in root.subgraphs for t in sub.tensors]
    known = [t.quantization for t in tensors if t.quantization is not None]
    return chance.choice([one for one in known if one.scale is not None and len(one.scale)])


def _tensor(root: Any, chance: Random) -> Any:
    return chance.choice(chance.choice(root.subgraphs).tensors)
