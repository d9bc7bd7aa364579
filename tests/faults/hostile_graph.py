"""Edits of a model's operators, of their options and order, and of what the graph is given."""

from random import Random
from typing import Any

import numpy as np

from faults.hostile_tensors import EDGES, REALS


def unpacked(data: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(data, 0)


def packed(root: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(4096)
    builder.Finish(root.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator(root: Any, chance: Random) -> Any:
    return chance.choice(chance.choice(root.subgraphs).operators)


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
