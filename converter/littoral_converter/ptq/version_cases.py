"""Operators whose version depends on more than one type: each a function of its use.

In the order in which TensorFlow asks; the first that holds decides.
"""

from typing import Final

from littoral_converter.ptq.usage import Use

_LARGE: Final = 4  # dimensions: what most kernels began with
_LARGER: Final = 5
_DEPTHS: Final = {"INT8": {"INT8": 3, "INT4": 7}, "INT16": {"INT8": 5, "INT16": 5}}
INTEGER: Final = {"INT8": 2, "INT16": 3}
NARROW: Final = {"INT8": 2}


def conv(use: Use) -> int:
    if use.inputs[0] == "INT16":  # for TensorFlow 1, though kernels know it since 4
        return 8 if use.option("quantizedBiasType") else 4
    if use.shapes[0] and use.shapes[0][3] != use.shapes[1][3]:
        return 6  # in groups
    if use.hybrid:
        return 5 if use.per_channel(0) else 2
    return {"INT8": 3, "INT4": 7}.get(use.inputs[1] or "", 1) if use.inputs[0] == "INT8" else 1


def depthwise(use: Use) -> int:
    if use.hybrid:
        return 6 if use.per_channel(3) else 4
    if use.inputs[0] in _DEPTHS:
        return _DEPTHS[use.inputs[0]].get(use.inputs[1] or "", 1)
    dilated = use.option("dilationWFactor") != 1 or use.option("dilationHFactor") != 1
    return 2 if dilated else 1


def dense(use: Use) -> int:  # noqa: PLR0911 (as many as there are)
    weights = use.inputs[1]
    if use.types(("INT16", "INT4"), "INT16"):
        return 13
    if use.hybrid and use.per_channel(0):
        return 12
    if use.types(("INT16", "INT8"), "INT16") and use.option("quantizedBiasType"):
        return 11
    if use.sparse:
        return 8
    if use.inputs[0] == "INT16":
        return 7
    if len(use.inputs) == 2:  # noqa: PLR2004 (there is no third, the bias)
        return 6
    if use.option("keepNumDims"):
        return 5
    if use.inputs[0] == "INT8":
        return {"INT8": 4, "INT4": 10}.get(weights or "", 1)
    if use.hybrid:
        return 9 if use.option("asymmetricQuantizeInputs") else 3
    return 2 if use.option("weightsFormat") else 1


def transposed(use: Use) -> int:
    if use.option("fusedActivationFunction"):
        return 4
    if len(use.inputs) == 4 and use.inputs[3] is not None:  # noqa: PLR2004 (the bias)
        return 3
    return 2 if use.inputs[1] == "INT8" else 1


def add(use: Use) -> int:
    if use.inputs[0] == "INT16":
        return (1 if use.option("potScaleInt16") else 3) if use.scales[0] else 5
    return use.by_type({"INT8": 2, "INT64": 4, "FLOAT16": 6})


def sub(use: Use) -> int:
    if use.inputs[0] == "INT16" and not use.option("potScaleInt16"):
        return 5
    if use.inputs[0] == "INT64":
        return 4
    return 3 if use.spread and use.rank > _LARGE else use.by_type(NARROW)


def mul(use: Use) -> int:
    if use.inputs[0] == "INT16":
        return 4 if any(use.scales[:2]) else 7
    wide = {"INT64": 5, "COMPLEX64": 6, "UINT32": 7, "FLOAT16": 8}.get(use.inputs[0] or "")
    if wide is not None:
        return wide
    first, second, result = (s[0] if s else 0.0 for s in (*use.scales[:2], use.scales[-1]))
    if first and second and result and first * second / result >= 1:
        return 3
    return use.by_type(NARROW)


def larger(use: Use) -> int:
    if use.inputs[0] == "INT16":
        return 4
    return 3 if use.spread and use.rank > _LARGE else use.by_type(NARROW)


def div(use: Use) -> int:
    return 2 if use.spread and use.rank > _LARGE else 1


def pad(use: Use) -> int:
    if use.inputs[0] == "BOOL":
        return 5
    return 4 if len(use.shapes[0]) > _LARGE else use.by_type(INTEGER)


def transpose(use: Use) -> int:
    rank, kind = len(use.shapes[0]), use.inputs[0]
    if rank > _LARGER + 1:
        return 8
    if kind == "INT4":
        return 7
    if rank > _LARGER:
        return 6
    if kind == "INT16":
        return 5
    return 4 if rank > _LARGE else {"BOOL": 3, "INT8": 2}.get(kind or "", 1)


def slice_(use: Use) -> int:
    by_type = {"INT4": 7, "UINT32": 6}.get(use.inputs[0] or "")
    if by_type is not None:
        return by_type
    if len(use.shapes[0]) > _LARGE:
        return 5
    return use.by_type({"INT16": 4, "STRING": 3, "INT8": 2})


def strided(use: Use) -> int:
    if use.option("offset"):
        return 8
    if use.inputs[0] == "UINT32":
        return 7
    if use.option("ellipsisMask") or use.option("newAxisMask"):
        return 6
    if use.inputs[0] == "STRING":
        return 5
    if len(use.shapes[0]) > _LARGE:
        return 4
    return use.by_type({"BOOL": 3, "INT8": 2})


def resize(use: Use) -> int:
    if use.inputs[0] == "INT16":
        return 4
    return 3 if use.option("halfPixelCenters") else use.by_type(NARROW)


def nearest(use: Use) -> int:
    return 3 if use.inputs[0] != "INT16" and use.option("alignCorners") else resize(use)


def gather(use: Use) -> int:
    if use.inputs[0] == "INT4":
        return 7
    if use.inputs[1] == "INT16":
        return 6
    if use.option("batchDims"):
        return 5
    return use.by_type({"INT16": 4, "BOOL": 3, "INT8": 2})


def gather_nd(use: Use) -> int:
    if use.inputs[1] == "INT16":
        return 4
    return use.by_type({"BOOL": 5, "INT16": 3, "STRING": 2})


def blocks(use: Use) -> int:
    if use.inputs[0] == "INT16":
        return 4
    return 3 if len(use.shapes[0]) != _LARGE else use.by_type(NARROW)


def dequantize(use: Use) -> int:
    if use.inputs[0] == "INT8":
        return 5 if len(use.scales[0]) > 1 else 2
    return use.by_type({"INT4": 6, "INT16": 3, "FLOAT16": 3})


def quantize(use: Use) -> int:
    if "INT4" in {use.inputs[0], use.outputs[0]}:
        return 4
    if len(use.scales[-1]) > 1:
        return 3
    return 2 if use.outputs[0] == "INT16" else 1


def matmul(use: Use) -> int:
    if use.hybrid and use.option("asymmetricQuantizeInputs"):
        return 4
    return use.by_type(INTEGER)


def lookup(use: Use) -> int:
    rows = len(use.scales[1]) > 1 and use.per_channel(0)
    return 4 if rows or use.inputs[1] == "INT4" else 1


def sequence_lstm(use: Use) -> int:
    if use.inputs[0] == "INT16" and use.inputs[2] == "INT8" and use.outputs[0] == "INT16":
        return 5
    if use.option("diagonalRecurrentTensors"):
        return 4
    if use.inputs[0] == use.outputs[0] == "FLOAT32" and use.inputs[2] == "INT8":
        return 3 if use.option("asymmetricQuantizeInputs") else 2
    return 1


def cast(use: Use) -> int:
    ends = {use.inputs[0], use.outputs[0]}
    if use.inputs[0] == "INT4" and use.outputs[0] == "FLOAT32":
        return 6
    newest = {"FLOAT16": 5, "FLOAT64": 5, "UINT16": 4, "INT8": 3, "UINT32": 2}
    return next((version for kind, version in newest.items() if kind in ends), 1)


def select(use: Use) -> int:
    if use.inputs[0] == "UINT32":
        return 4
    five = any(len(shape) == _LARGER for shape in use.shapes)
    return 3 if five else use.by_type(NARROW)
