"""What an Edge TPU takes: one row for each operator, with the limits that are known of it.

The rows are what the compiler's makers publish of version 16, and what files that it compiled
show; where the two differ the files are right (it maps TILE, which is listed nowhere). The
compiler looks at more than is known: what passes here may still be left on the processor.
"""

from typing import Final

from littoral_converter.edgetpu import limits
from littoral_converter.edgetpu.limits import Rule, Seen
from littoral_converter.graph import Operator, Subgraph

_TAKEN: Final[dict[str, tuple[Rule, ...]]] = {
    "ADD": (),
    "AVERAGE_POOL_2D": (limits.no_activation,),
    "CONCATENATION": (limits.no_activation, limits.padding_only),
    "CONV_2D": (limits.constant_weights, limits.square_dilation),
    "DEPTHWISE_CONV_2D": (limits.constant_weights,),
    "EXPAND_DIMS": (),
    "FULLY_CONNECTED": (limits.constant_weights, limits.dense),
    "L2_NORMALIZATION": (),
    "LOGISTIC": (),
    "MAXIMUM": (),
    "MAX_POOL_2D": (limits.no_activation,),
    "MEAN": (limits.mean,),
    "MINIMUM": (),
    "MUL": (),
    "PACK": (limits.packed,),
    "PAD": (limits.padded,),
    "PRELU": (limits.alpha,),
    "QUANTIZE": (),
    "REDUCE_MAX": (limits.reduced,),
    "REDUCE_MIN": (limits.reduced,),
    "RELU": (),
    "RELU6": (),
    "RELU_N1_TO_1": (),
    "RESHAPE": (),
    "RESIZE_BILINEAR": (limits.resized,),
    "RESIZE_NEAREST_NEIGHBOR": (limits.resized,),
    "RSQRT": (),
    "SLICE": (),
    "SOFTMAX": (limits.softmax,),
    "SPACE_TO_DEPTH": (),
    "SPLIT": (limits.split,),
    "SQUARED_DIFFERENCE": (),
    "SQUEEZE": (),
    "STRIDED_SLICE": (limits.unit_strides,),
    "SUB": (),
    "SUM": (limits.reduced,),
    "TANH": (),
    "TILE": (),
    "TRANSPOSE": (),
    "TRANSPOSE_CONV": (limits.constant_weights,),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (),
}
_INSTEAD: Final = {  # what a person can do about an operator that it does not have
    "ARG_MAX": "let the model end before it, and choose the largest in the program",
    "BATCH_MATMUL": "it takes products with constant weights alone",
    "CAST": "give the model integers, and let it end with them",
    "DEQUANTIZE": "let the model's outputs be int8 or uint8",
    "DIV": "multiply by a constant instead",
    "ELU": "use relu or relu6",
    "GELU": "use relu or relu6",
    "HARD_SWISH": "use relu6",
    "LEAKY_RELU": "use relu, or prelu with one slope a channel",
    "MIRROR_PAD": "pad with zeros",
    "PADV2": "pad with zeros",
    "SELECT": "",
    "WHILE": "unroll the loop (unroll=True in Keras)",
}


def why_not(operator: Operator, graph: Subgraph) -> str | None:
    """Return why an Edge TPU does not take ``operator`` of ``graph``, None if nothing is known."""
    name = operator.name
    if operator.custom:
        return "a custom operator, which only the library that brings it can run"
    if name not in _TAKEN:
        instead = _INSTEAD.get(name)
        return "an Edge TPU has no such operator" + (f": {instead}" if instead else "")
    seen = Seen.of(operator, graph)
    for rule in (
        limits.computed_shape,
        limits.types,
        limits.fixed,
        limits.rank,
        limits.version,
        *_TAKEN[name],
    ):
        found = rule(seen)
        if found is not None:
            return found
    return None
