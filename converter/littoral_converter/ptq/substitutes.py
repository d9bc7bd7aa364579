"""Operators without a kernel for integers, written with those that have one.

Before anything is quantized; the answers in floating point stay what they are.
"""

from typing import Any

import numpy as np

from littoral_converter.ptq.network import Network, Op

_SQUARE = 2


def substitute(network: Network) -> int:
    """Exchange them; return how many there were."""
    return sum(_exchange(network, op) for op in network.ops)


def _exchange(network: Network, op: Op) -> bool:
    """Make a product of ``op``, where it can be one; say whether it could."""
    if not op.outputs or not network.is_float(op.outputs[0]):
        return False
    match op.kind:
        case "NEG":
            other = _constant(network, op, np.float32(-1))
        case "SQUARE":
            other = op.inputs[0]
        case "POW" if _power(network, op) == _SQUARE:
            other = op.inputs[0]
        case "DIV" if _divisor(network, op) is not None:
            other = _constant(network, op, 1 / np.float32(_divisor(network, op)))
        case _:
            return False
    activation = getattr(op.options, "fusedActivationFunction", 0)
    network.change(op, kind="MUL", inputs=(op.inputs[0], other), options=_product(activation))
    return True


def _power(network: Network, op: Op) -> float | None:
    exponent = network.constant(op.inputs[1])
    return float(exponent.flat[0]) if exponent is not None and exponent.size == 1 else None


def _divisor(network: Network, op: Op) -> Any:  # noqa: ANN401
    found = network.constant(op.inputs[1])
    return None if found is None or (found == 0).any() else found


def _constant(network: Network, op: Op, value: Any) -> int:  # noqa: ANN401
    return network.add_constant(f"factor;{op.index}", np.asarray(value, np.float32))


def _product(activation: int) -> Any:  # noqa: ANN401
    from ai_edge_litert import schema_py_generated as schema

    options = schema.MulOptionsT()
    options.fusedActivationFunction = activation
    return options
