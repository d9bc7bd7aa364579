"""The one module that knows ai-edge-quantizer: a network and ranges in, a quantized file out.

Ranges and weights are ours; it decides which operators can be integer and rewrites the graph.
"""

import io as streams
import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module  # ai-edge-quantizer is published without types
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from littoral.errors import ConversionError
from littoral_converter.ptq import finishing
from littoral_converter.ptq.network import Network, Op

# "widened": computed in floating point from weights that are stored in eight bits.
Precision = Literal["int8", "int16", "widened", "float"]
Cast = Literal["dynamic", "float16", "weights"]  # what becomes of the weights alone
Ranges = Mapping[int, tuple[float, float]]  # by tensor: the least and the largest real value

LEVELS: Final = 255  # steps between the ends of an int8 range
_SPARED: Final = 1024  # weights: an operator of fewer keeps its floats, which cost next to nothing
_LEAST: Final = 1e-6  # a range of nothing gives a scale that kernels refuse
_UNIFORM: Final = "min_max_uniform_quantize"
_CASTING: Final = {"float16": "float_casting"}
_BITS: Final = {"int8": 8, "int16": 16}
WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_RENAMED: Final = {"TRANSPOSE_CONV": "CONV_2D_TRANSPOSE"}  # what the quantizer calls otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every operator becomes."""

    dense_per_channel: bool = True
    most: Literal["int8", "int16"] = "int8"  # what activations are, where nothing else is said
    other: Mapping[int, Precision] = field(default_factory=dict)  # by operator

    def precision(self, op: Op) -> Precision:
        return self.other.get(op.index, self.most)

    def floats(self, op: Op) -> bool:
        """Whether ``op`` is meant to compute in floating point."""
        return self.precision(op) in {"widened", "float"}

    def but(self, ops: Iterable[int], precision: Precision) -> "Plan":
        """Return a plan in which ``ops`` are of that precision."""
        return replace(self, other={**self.other, **dict.fromkeys(ops, precision)})


def quantize(network: Network, ranges: Ranges, plan: Plan | None = None) -> bytes:
    """Return the quantized file; its input and output are int8 where their operators are.

    Raises:
        ConversionError: ai-edge-quantizer cannot do it; its words say why.

    """
    plan = plan or Plan()
    rules = list(_recipe(network, plan))
    made = _quantized(network.write(), rules, _statistics(network, ranges))
    if plan.most != "int8":
        return finishing.finish(made)
    floats = {network.name(t) for op in network.ops for t in op.outputs if plan.floats(op)}
    named = {network.name(t): limits for t, limits in ranges.items()}
    return finishing.finish(made, named, spared=floats)


def cast(model: bytes, kind: Cast) -> bytes:
    """Return the float ``model`` with its weights stored in fewer bits; activations stay floats.

    Raises:
        ConversionError: ai-edge-quantizer cannot do it; its words say why.

    """
    with suppress(ConversionError):  # loops: graphs of their own, which are cast as they stand
        model = Network.read(model).write()
    rule = _rule(".*", "*", _CASTS[kind], _CASTING.get(kind, _UNIFORM))
    return finishing.finish(_quantized(model, [rule], None))


def _quantized(model: bytes, rules: list[dict[str, Any]], statistics: Any) -> bytes:  # noqa: ANN401
    quantizer = import_module("ai_edge_quantizer.quantizer")
    try:
        with redirect_stdout(streams.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its interpreter keeps all tensors
            result = quantizer.Quantizer(bytearray(model), rules).quantize(
                statistics, enable_progress_bar=False, enable_progress_report=False
            )
    except (ValueError, RuntimeError, KeyError, TypeError, NotImplementedError) as e:
        raise ConversionError(f"ai-edge-quantizer cannot quantize the model: {e}") from e
    return bytes(result.quantized_model)


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
    bits = _BITS[plan.most]
    yield _rule(".*", "*", _config(activations=bits, per_channel=True))
    if not plan.dense_per_channel:
        yield _rule(".*", "FULLY_CONNECTED", _config(activations=bits, per_channel=False))
    for op in network.ops:
        kind = _RENAMED.get(op.kind, op.kind)
        if kind not in known or not op.outputs:
            continue  # it stays as it is anyway
        where = f"^{''.join(re.escape(network.name(t)) + ';' for t in op.outputs)}$"
        match plan.precision(op):
            case precision if precision == plan.most:
                pass
            case "widened" if op.kind in WEIGHTED:
                yield _rule(where, kind, _config(activations=None, per_channel=True))
            case "float" | "widened":
                yield _rule(where, kind, None)
            case "int8" | "int16" as precision:
                per_channel = plan.dense_per_channel or op.kind != "FULLY_CONNECTED"
                config = _config(activations=_BITS[precision], per_channel=per_channel)
                yield _rule(where, kind, config)


def _rule(
    where: str, kind: str, config: dict[str, Any] | None, algorithm: str = _UNIFORM
) -> dict[str, Any]:
    return {
        "regex": where,
        "operation": kind,
        "algorithm_key": "no_quantize" if config is None else algorithm,
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


_CASTS: Final[dict[Cast, dict[str, Any]]] = {
    "dynamic": {
        "weight_tensor_config": _config(activations=None, per_channel=True)["weight_tensor_config"],
        "compute_precision": "INTEGER",  # of activations that are rounded as they come
        "explicit_dequantize": False,
        "min_weight_elements": _SPARED,
    },
    "weights": _config(activations=None, per_channel=True) | {"min_weight_elements": _SPARED},
    "float16": {
        "weight_tensor_config": {
            "num_bits": 16,
            "symmetric": True,
            "granularity": "TENSORWISE",
            "dtype": "FLOAT",
        },
        "compute_precision": "FLOAT",
        "explicit_dequantize": True,
    },
}
