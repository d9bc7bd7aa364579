"""The one module that knows ai-edge-quantizer: a network and ranges in, a quantized file out.

Ranges and weights are ours; it decides which operators can be integer and rewrites the graph.
"""

import io as streams
import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib import import_module  # ai-edge-quantizer is published without types
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.ptq import versions
from littoral_converter.ptq.network import Network, Op

# "widened": computed in floating point from weights that are stored in eight bits.
Precision = Literal["int8", "int16", "widened", "float"]
Ranges = Mapping[int, tuple[float, float]]  # by tensor: the least and the largest real value

LEVELS: Final = 255  # steps between the ends of an int8 range
_LEAST: Final = 1e-6  # a range of nothing gives a scale that kernels refuse
WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_RENAMED: Final = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}  # what the quantizer calls otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every operator becomes, where it is not int8."""

    dense_per_channel: bool = True
    other: Mapping[int, Precision] = field(default_factory=dict)  # by operator: what is not int8

    def precision(self, op: Op) -> Precision:
        return self.other.get(op.index, "int8")

    def but(self, ops: Iterable[int], precision: Precision) -> "Plan":
        """Return a plan in which ``ops`` are of that precision."""
        return replace(self, other={**self.other, **dict.fromkeys(ops, precision)})


def quantize(network: Network, ranges: Ranges, plan: Plan | None = None) -> bytes:
    """Return the quantized file; its input and output are int8 where their operators are.

    Raises:
        ConversionError: ai-edge-quantizer cannot do it; its words say why.

    """
    quantizer = import_module("ai_edge_quantizer.quantizer")
    plan = plan or Plan()
    try:
        with redirect_stdout(streams.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its interpreter keeps all tensors
            work = quantizer.Quantizer(bytearray(network.write()), list(_recipe(network, plan)))
            result = work.quantize(
                _statistics(network, ranges),
                enable_progress_bar=False,
                enable_progress_report=False,
            )
    except (ValueError, RuntimeError, KeyError, TypeError, NotImplementedError) as e:
        raise ConversionError(f"ai-edge-quantizer cannot quantize the model: {e}") from e
    return repack(bytes(result.quantized_model))


def repack(model: bytes) -> bytes:
    """Return ``model`` with its constants inside the flatbuffer, and its operators' versions."""
    from ai_edge_litert.tools import flatbuffer_utils

    # Old readers, and the Edge TPU's compiler, look for constants nowhere else.
    opened = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for buffer in opened.buffers:
        if buffer.data is not None:  # anything but an array is written byte by byte: seconds
            buffer.data = np.frombuffer(bytes(buffer.data), np.uint8)
    versions.settle(opened)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(opened))


def _statistics(network: Network, ranges: Ranges) -> dict[str, dict[str, NDArray[np.float32]]]:
    found = {}
    for tensor, (low, high) in ranges.items():
        shape = (1,) * len(network.shape(tensor))
        found[network.name(tensor)] = {
            "min": np.full(shape, min(low, 0), np.float32),
            "max": np.full(shape, max(high, low + _LEAST, _LEAST), np.float32),
        }
    return found


def _recipe(network: Network, plan: Plan) -> Any:  # noqa: ANN401
    """Walk the rules; a later one outweighs those before it."""
    names = import_module("ai_edge_quantizer.qtyping").TFLOperationName
    known = {str(name.value) for name in names}
    yield _rule(".*", "*", _config(activations=8, per_channel=True))
    if not plan.dense_per_channel:
        yield _rule(".*", "FULLY_CONNECTED", _config(activations=8, per_channel=False))
    for op in network.ops:
        kind = _RENAMED.get(op.kind, op.kind)
        if kind not in known or not op.outputs:
            continue  # it stays as it is anyway
        where = f"^{''.join(re.escape(network.name(t)) + ';' for t in op.outputs)}$"
        match plan.precision(op):
            case "widened" if op.kind in WEIGHTED:
                yield _rule(where, kind, _config(activations=None, per_channel=True))
            case "float" | "widened":
                yield _rule(where, kind, None)
            case "int16":
                per_channel = plan.dense_per_channel or op.kind != "FULLY_CONNECTED"
                yield _rule(where, kind, _config(activations=16, per_channel=per_channel))
            case "int8":
                pass


def _rule(where: str, kind: str, config: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "regex": where,
        "operation": kind,
        "algorithm_key": "no_quantize" if config is None else "min_max_uniform_quantize",
        "op_config": config or {},
    }


def _config(*, activations: int | None, per_channel: bool) -> dict[str, Any]:
    """Return how an operator is quantized; ``activations`` of None bits stay floats."""
    weights = {
        "num_bits": 8,
        "symmetric": True,
        "granularity": "CHANNELWISE" if per_channel else "TENSORWISE",
        "dtype": "INT",
    }
    if activations is None:
        return {
            "weight_tensor_config": weights,
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        }
    return {
        "activation_tensor_config": {
            "num_bits": activations,
            "symmetric": activations == 16,  # noqa: PLR2004 (what the kernels take)
            "granularity": "TENSORWISE",
            "dtype": "INT",
        },
        "weight_tensor_config": weights,
        "compute_precision": "INTEGER",
        "explicit_dequantize": False,
    }
