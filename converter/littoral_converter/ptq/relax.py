"""Operators that force their input's scale on their output, exchanged for others that do not.

A mean over a whole picture is far smaller than the largest value in it; AVERAGE_POOL_2D must
write it in the picture's coarse steps, MEAN need not. Exact in floating point.
"""

import numpy as np

from littoral_converter.ptq.network import Network, Op


def relax(network: Network) -> int:
    """Exchange them; return how many there were."""
    found = [op for op in network.ops if _whole(network, op)]
    for op in found:
        _exchange(network, op)
    return len(found)


def _whole(network: Network, op: Op) -> bool:
    """Whether ``op`` is the average of a whole picture."""
    if op.kind != "AVERAGE_POOL_2D" or op.options.fusedActivationFunction != 0:
        return False
    _, height, width, _ = network.shape(op.inputs[0])
    whole = (op.options.filterHeight, op.options.filterWidth) == (height, width)
    return whole and network.shape(op.outputs[0])[1:3] == (1, 1)


def _exchange(network: Network, op: Op) -> None:
    from ai_edge_litert import schema_py_generated as schema

    options = schema.ReducerOptionsT()
    options.keepDims = True
    axes = network.add_constant(f"axes;{op.index}", np.array([1, 2], np.int32))
    network.change(op, kind="MEAN", inputs=(op.inputs[0], axes), options=options)
