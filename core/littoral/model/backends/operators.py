"""The operators of a small INT8 classifier, as TFLite's reference kernels define them.

Each takes the operands' stored values and returns the stored result. Sums of products are
made in float64, where they are exact: 255 * 255 * 2^36 still has fewer than 53 bits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import BackendError
from littoral.model import tensors
from littoral.model.backends.base import Array
from littoral.model.fixedpoint import Ints, Multiplier, round_away
from littoral.model.graph import GraphTensor

_SAME: Final = 0  # of the schema's Padding
_ADD_SHIFT: Final = 20  # bits of head-room that TFLite gives the operands of an addition


@dataclass(frozen=True, slots=True)
class Operand:
    tensor: GraphTensor
    value: Array

    def centred(self) -> Ints:
        """Return the stored integers less their zero point."""
        if self.tensor.dtype not in {"int8", "uint8"} or not self.tensor.scales.size:
            raise BackendError(f"{self.tensor.name}: {self.tensor.dtype} is not INT8 arithmetic")
        centred: Ints = self.value.astype(np.int64) - self.tensor.zero_point
        return centred


@dataclass(frozen=True, slots=True)
class Step:
    """One operator at work. The options are the schema's object for it."""

    op: str
    operands: tuple[Operand, ...]
    options: Any
    out: GraphTensor

    def biased(self, sums: Ints) -> Ints:
        """Return ``sums`` of products, and the third operand where there is one."""
        return sums + self.operands[2].value if len(self.operands) > 2 else sums  # noqa: PLR2004

    def factor(self) -> Multiplier:
        """Return by what sums of products of the first two operands become the result."""
        x, w = (operand.tensor for operand in self.operands[:2])
        product = x.scale * w.scales
        if w.dtype == "uint8":  # here TFLite multiplies the two scales as floats
            product = (np.float32(x.scale) * w.scales.astype(np.float32)).astype(np.float64)
        return Multiplier.of(product / self.out.scale)

    def stored(self, centred: Ints) -> Array:
        return self.clipped(centred + self.out.zero_point)

    def clipped(self, stored: Ints) -> Array:
        lowest, highest = _range(self.out, getattr(self.options, "fusedActivationFunction", 0))
        return np.clip(stored, lowest, highest).astype(self.out.dtype)


def apply(step: Step) -> Array:
    """Return the stored value of ``step.out``; its operator is one of OPERATORS."""
    return OPERATORS[step.op](step)


def _conv(step: Step) -> Array:
    x, w = step.operands[:2]
    channels = w.tensor.shape[0]
    if x.tensor.shape[-1] != w.tensor.shape[-1]:
        raise BackendError("CONV_2D: groups are not known to the reference")
    windows = _windows(step, x.centred(), size=w.tensor.shape[1:3])
    flat = windows.reshape(-1, math.prod(w.tensor.shape[1:]))
    sums = _exact(flat @ w.centred().reshape(channels, -1).astype(np.float64).T)
    sums = step.biased(sums.reshape(*windows.shape[:3], channels))
    return step.stored(step.factor().apply(sums))


def _depthwise(step: Step) -> Array:
    x, w = step.operands[:2]
    kernel = w.centred()[0].astype(np.float64)
    windows = _windows(step, x.centred(), size=kernel.shape[:2])
    repeated = np.repeat(windows, kernel.shape[2] // x.tensor.shape[-1], axis=-1)
    sums = step.biased(_exact(np.einsum("nhwklc,klc->nhwc", repeated, kernel)))
    return step.stored(step.factor().apply(sums))


def _fully_connected(step: Step) -> Array:
    x, w = step.operands[:2]
    rows = x.centred().reshape(-1, w.tensor.shape[1]).astype(np.float64)
    sums = step.biased(_exact(rows @ w.centred().astype(np.float64).T))
    return step.stored(step.factor().apply_once(sums)).reshape(step.out.shape)


def _average_pool(step: Step) -> Array:
    value = step.operands[0].value
    sums = _exact(_windows(step, value).sum(axis=(3, 4)))
    counts = _exact(_windows(step, np.ones(value.shape)).sum(axis=(3, 4)))
    total = np.abs(sums) + counts // 2  # halves away from zero, and C divides towards it
    return step.clipped(np.sign(sums) * (total // counts))


def _add(step: Step) -> Array:
    twice = 2 * max(operand.tensor.scale for operand in step.operands)
    a, b = (
        Multiplier.of(operand.tensor.scale / twice).apply(operand.centred() << _ADD_SHIFT)
        for operand in step.operands
    )
    factor = Multiplier.of(twice / ((1 << _ADD_SHIFT) * step.out.scale))
    return step.stored(factor.apply(a + b))


def _mean(step: Step) -> Array:
    x, axes = step.operands
    over = tuple(int(n) % len(x.tensor.shape) for n in axes.value.ravel())
    count = math.prod(x.tensor.shape[n] for n in over)
    factor = Multiplier.of(x.tensor.scale / step.out.scale).over(count)
    return step.stored(factor.apply(x.centred().sum(axis=over))).reshape(step.out.shape)


def _pad(step: Step) -> Array:
    x, widths = step.operands
    pairs = [(int(before), int(after)) for before, after in widths.value]
    return np.pad(x.value, pairs, constant_values=x.tensor.zero_point)


def _softmax(step: Step) -> Array:
    x = step.operands[0]
    real = x.centred() * x.tensor.scale * step.options.beta
    powers = np.exp(real - real.max(axis=-1, keepdims=True))
    share = powers / powers.sum(axis=-1, keepdims=True)
    return step.stored(_exact(np.floor(share / step.out.scale + 0.5)))


def _quantize(step: Step) -> Array:
    x = step.operands[0]
    if x.tensor.dtype == "float32":
        return tensors.quantize(x.value, step.out.spec())
    return step.stored(Multiplier.of(x.tensor.scale / step.out.scale).apply(x.centred()))


def _max_pool(step: Step) -> Array:
    windows = _windows(step, step.operands[0].value, fill=-np.inf)
    return step.clipped(_exact(windows.max(axis=(3, 4))))


def _reshape(step: Step) -> Array:
    return step.operands[0].value.reshape(step.out.shape)


def _dequantize(step: Step) -> Array:
    return tensors.dequantize(step.operands[0].value, step.operands[0].tensor.spec())


def _range(out: GraphTensor, activation: int) -> tuple[int, int]:
    from ai_edge_litert.schema_py_generated import ActivationFunctionType as Act

    bounds = {
        Act.NONE: (-math.inf, math.inf),
        Act.RELU: (0.0, math.inf),
        Act.RELU6: (0.0, 6.0),
        Act.RELU_N1_TO_1: (-1.0, 1.0),
    }
    if activation not in bounds:
        raise BackendError(f"fused activation {activation} is not known to the reference")
    limits = np.iinfo(out.dtype)
    low, high = bounds[activation]
    lowest = limits.min if low == -math.inf else out.zero_point + round_away(low / out.scale)
    highest = limits.max if high == math.inf else out.zero_point + round_away(high / out.scale)
    return max(int(limits.min), lowest), min(int(limits.max), highest)


def _windows(
    step: Step, value: Array, *, size: tuple[int, ...] | None = None, fill: float = 0.0
) -> NDArray[np.float64]:
    """Return [batch, out height, out width, height, width, channels] of ``value``, padded."""
    options = step.options
    size = size or (options.filterHeight, options.filterWidth)
    strides = (options.strideH, options.strideW)
    dilations = (getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilations, strict=True)]
    pads = [(0, 0), (0, 0)]
    if options.padding == _SAME:
        pads = [_same(n, r, s) for n, r, s in zip(value.shape[1:3], reach, strides, strict=True)]
    padded = np.pad(value.astype(np.float64), [(0, 0), *pads, (0, 0)], constant_values=fill)
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    picked = views[:, :: strides[0], :: strides[1], :, :: dilations[0], :: dilations[1]]
    return np.moveaxis(picked, 3, -1)


def _same(size: int, reach: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _exact(value: NDArray[np.float64]) -> Ints:
    return value.astype(np.int64)


OPERATORS: Final[Mapping[str, Callable[[Step], Array]]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "PAD": _pad,
    "QUANTIZE": _quantize,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
