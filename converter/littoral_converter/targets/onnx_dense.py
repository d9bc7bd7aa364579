"""Mends how tf2onnx writes a dense layer whose input has more than two dimensions.

Its own handler flattens such an input (as it comes from a pooling that keeps its dimensions), and
forgets the layer's bias while it does. Here the input is flattened before that handler sees it.
"""

from importlib import import_module
from typing import Any, Final

import numpy as np

_DENSE: Final = "TFL_FULLY_CONNECTED"


def mend() -> None:
    """Make tf2onnx, in this process, keep the bias of each dense layer."""
    from tf2onnx.handler import tfl_op

    import_module("tf2onnx.tflite_handlers")  # which registers them
    known = tfl_op.create_tfl_to_tf_mapping()
    write, said = known[_DENSE]

    def flattened(graph: Any, node: Any, **more: Any) -> None:  # noqa: ANN401
        if not node.attr["keep_num_dims"].i and graph.get_rank(node.input[0]) != 2:  # noqa: PLR2004 (rows, depth)
            _flatten(graph, node)
        write(graph, node, **more)

    known[_DENSE] = (flattened, said)


def _flatten(graph: Any, node: Any) -> None:  # noqa: ANN401
    source, weights, *bias = node.input
    depth = graph.get_shape(weights)[1]
    shape = graph.make_const(f"{node.name}_rows", np.array([-1, depth], np.int64))
    flat = graph.make_node(
        "Reshape",
        [source, shape.output[0]],
        shapes=[[-1, depth]],
        dtypes=[graph.get_dtype(source)],
    )
    flat.skip_conversion = True  # it is one of ONNX's already
    graph.replace_inputs(node, [flat.output[0], weights, *bias])
