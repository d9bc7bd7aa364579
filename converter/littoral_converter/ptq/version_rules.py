"""Which version of an operator its use needs, by TensorFlow's own rules. Rules only.

A version says since when runtimes know an operator with such types and options. Operators that
are in no table here had one version from the beginning.
"""

from collections.abc import Callable, Mapping
from typing import Final

from littoral_converter.ptq import version_cases as cases
from littoral_converter.ptq.usage import Use

# By the type of what goes in first; what is not named is version 1.
_BY_TYPE: Final[dict[str, Mapping[str, int]]] = {
    **dict.fromkeys(
        (
            "AVERAGE_POOL_2D", "GREATER_EQUAL", "LESS", "LOGISTIC", "MAX_POOL_2D", "MEAN",
            "MIRROR_PAD", "REDUCE_MAX", "REDUCE_MIN", "RELU6", "RSQRT", "SOFTMAX", "TANH",
        ),
        cases.INTEGER,
    ),
    **dict.fromkeys(
        (
            "DEPTH_TO_SPACE", "GREATER", "LESS_EQUAL", "LOG_SOFTMAX", "SPACE_TO_DEPTH", "SPLIT_V",
            "SQUARED_DIFFERENCE", "SUM",
        ),
        cases.NARROW,
    ),
    **{name: {"INT8": 2, "INT16": 2} for name in ("EXP", "LOG", "REDUCE_PROD", "SQRT")},
    **{name: {"INT8": 2, "BOOL": 3} for name in ("ARG_MAX", "ARG_MIN")},
    "ABS": {"INT8": 2, "UINT8": 2, "INT16": 3, "INT32": 5},
    "CONCATENATION": {"INT8": 2, "INT16": 3, "UINT32": 4, "INT4": 5},
    "EQUAL": {"INT8": 2, "STRING": 3, "INT16": 5},
    "FLOOR_DIV": {"FLOAT32": 2, "INT8": 3, "INT16": 3},
    "FLOOR_MOD": {"INT8": 2, "INT16": 2},
    "GELU": {"INT8": 2, "UINT8": 2},
    "LEAKY_RELU": {"INT16": 2},
    "NOT_EQUAL": {"INT8": 2, "STRING": 3, "INT16": 4},
    "PACK": {"INT8": 2, "INT16": 3, "UINT32": 4},
    "RELU": {"INT8": 2, "UINT8": 2, "INT16": 3},
    "REVERSE_V2": {"BOOL": 2, "INT8": 3},
    "SELECT_V2": {"UINT32": 2},
    "SQUEEZE": {"STRING": 2},
    "TILE": {"STRING": 2, "INT8": 3},
    "UNPACK": {"INT8": 2, "UINT8": 2, "BOOL": 3, "INT16": 4, "FLOAT16": 5},
}  # fmt: skip


def of(kind: str, use: Use) -> int | None:
    """Return the version of an operator so used; None: it is in no table."""
    if (rule := _RULES.get(kind)) is not None:
        return rule(use)
    if (known := _BY_TYPE.get(kind)) is not None:
        return use.by_type(known)
    return None


_RULES: Final[dict[str, Callable[[Use], int]]] = {
    "ADD": cases.add,
    "BATCH_MATMUL": cases.matmul,
    "BATCH_TO_SPACE_ND": cases.blocks,
    "BROADCAST_TO": lambda use: 3 if use.inputs[0] in cases.INTEGER else 2,
    "CAST": cases.cast,
    "CONV_2D": cases.conv,
    "DEPTHWISE_CONV_2D": cases.depthwise,
    "DEQUANTIZE": cases.dequantize,
    "DIV": cases.div,
    "EMBEDDING_LOOKUP": cases.lookup,
    "FULLY_CONNECTED": cases.dense,
    "GATHER": cases.gather,
    "GATHER_ND": cases.gather_nd,
    "L2_NORMALIZATION": lambda use: cases.NARROW.get(use.outputs[0] or "", 1),
    "MAXIMUM": cases.larger,
    "MINIMUM": cases.larger,
    "MUL": cases.mul,
    "PAD": cases.pad,
    "PADV2": cases.pad,
    "QUANTIZE": cases.quantize,
    "RESIZE_BILINEAR": cases.resize,
    "RESIZE_NEAREST_NEIGHBOR": cases.nearest,
    "SELECT": cases.select,
    "SLICE": cases.slice_,
    "SPACE_TO_BATCH_ND": cases.blocks,
    "SPLIT": lambda use: {"INT8": 2, "INT32": 3, "INT16": 4}.get(use.inputs[1] or "", 1),
    "STRIDED_SLICE": cases.strided,
    "SUB": cases.sub,
    "TRANSPOSE": cases.transpose,
    "TRANSPOSE_CONV": cases.transposed,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": cases.sequence_lstm,
}
