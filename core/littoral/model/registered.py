"""Which operators the installed LiteRT runs, and in which versions: asked of LiteRT itself.

A runtime registers each operator up to some version, and refuses a model that needs a later one
when it builds it, before it looks at anything else. So a model of no more than the name and the
version of one operator tells, and nothing that somebody sent is read.
"""

import struct
from collections.abc import Mapping
from typing import Final

from littoral.model.backends.litert import missing

MOST_VERSION: Final = 1000  # none is beyond 20 so far

# The schema's BuiltinOperator: the place of a name is its number. LiteRT's own module of it costs
# serve 4 MiB that are never given back.
NAMES: Final = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM
CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE
SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK
REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR
LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS
WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG
REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL
BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD
UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY
STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL
STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER
STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE
STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE
DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT
STABLEHLO_CBRT STABLEHLO_CASE
""".split()  # noqa: SIM905 (as a list it is two hundred lines)

_NUMBERS: Final = {name: number for number, name in enumerate(NAMES)}
_NOT_RUN: Final = ("CUSTOM", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES")

# A .tflite file of the schema's version 3: one empty subgraph, one buffer, and one operator code,
# whose number and version are its last eight bytes.
_FILE: Final = bytes.fromhex(
    "1800000054464c3300000e00140010000c000800000004000e000000100000001c0000005000000003000000"
    "0100000008000000040004000400000001000000100000000c00140010000c00080004000c00000010000000"
    "1000000010000000100000000000000000000000000000000000000001000000100000000c000c0000000000"
    "080004000c000000"
)


def version() -> str:
    """Return the runtime's version. Raises BackendMissingError where there is none."""
    try:
        import ai_edge_litert
    except ImportError as e:
        raise missing(e) from e
    return str(ai_edge_litert.__version__)


def unknown(operators: Mapping[str, int]) -> dict[str, int]:
    """Return which of ``operators``, by name the version that is needed, do not run here.

    With the last version of it that does; 0 where none does.

    Raises:
        BackendMissingError: There is no runtime.

    """
    return {
        name: next((v for v in range(min(needed, MOST_VERSION), 0, -1) if _runs(name, v)), 0)
        for name, needed in operators.items()
        if not _runs(name, needed)
    }


def file_with(number: int, needed: int) -> bytes:
    """Return a model that has the operator ``number`` in the version ``needed`` and no graph."""
    return _FILE + struct.pack("<ii", number, needed)


def _runs(name: str, needed: int) -> bool:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as e:
        raise missing(e) from e
    number = _NUMBERS.get(name)
    if number is None or name in _NOT_RUN or not 0 < needed <= MOST_VERSION:
        return False
    try:
        Interpreter(model_content=file_with(number, needed))
    except ValueError:
        return False
    return True
