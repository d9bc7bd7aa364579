"""Operators that are a matrix at heart: convolutions and dense layers, seen as one.

A layer's weights become rows of taps, one row an output channel; its input becomes patches, so
that output = patches · rows + bias. Knows the layouts of TFLite's weights, and nothing of
quantization.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq.network import Network, Op

Floats = NDArray[np.float32]

CONV, DEPTHWISE, DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
_PLAIN: Final = (0, 1)  # no activation, ReLU: what commutes with a positive factor
_SAME: Final = 0  # padding


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An operator with constant weights that no other operator uses."""

    op: Op
    input: int
    output: int
    weights: int
    bias: int  # -1: none

    @property
    def depthwise(self) -> bool:
        return self.op.kind == DEPTHWISE

    @property
    def scalable(self) -> bool:
        """Whether its output may be scaled by scaling its weights."""
        return int(self.op.options.fusedActivationFunction) in _PLAIN


def layers(network: Network) -> Iterator[Layer]:
    """Walk the layers in the order they run."""
    for op in network.ops:
        if op.kind not in {CONV, DEPTHWISE, DENSE} or not network.is_float(op.outputs[0]):
            continue
        source, weights, bias = (*op.inputs, -1)[:3]
        if network.constant(weights) is None or not network.sole(weights):
            continue
        if bias >= 0 and (network.constant(bias) is None or not network.sole(bias)):
            continue
        found = Layer(op=op, input=source, output=op.outputs[0], weights=weights, bias=bias)
        if _known(network, found):
            yield found


def _known(network: Network, layer: Layer) -> bool:
    """Whether the layer is of the common kind: no groups, and one filter a channel in depth."""
    channels, weights = network.shape(layer.input)[-1:], network.shape(layer.weights)
    return bool(weights) and channels == weights[-1:]


def rows(network: Network, layer: Layer) -> Floats:
    """Return the weights as [outputs, taps]; taps run over height, width, then channels."""
    weights: Floats | None = network.constant(layer.weights)
    assert weights is not None  # noqa: S101 (layers() looked)
    if layer.depthwise:
        return np.ascontiguousarray(weights.reshape(-1, weights.shape[-1]).T)
    return weights.reshape(weights.shape[0], -1)


def set_rows(network: Network, layer: Layer, value: Floats) -> None:
    shape = network.shape(layer.weights)
    network.set_constant(layer.weights, (value.T if layer.depthwise else value).reshape(shape))


def offsets(network: Network, layer: Layer) -> Floats:
    """Return the bias as [outputs], zeros where there is none."""
    found: Floats | None = network.constant(layer.bias)
    return np.zeros(len(rows(network, layer)), np.float32) if found is None else found


def per_channel(network: Network, layer: Layer, factors: Floats) -> Floats:
    """Return ``factors`` of the input's channels as they apply to rows: [1 or outputs, taps]."""
    if layer.depthwise:
        return factors[:, None]
    taps = rows(network, layer).shape[1]
    return np.tile(factors, taps // len(factors))[None]


def patches(network: Network, layer: Layer, x: Floats, at: NDArray[np.int64]) -> Floats:
    """Return what the layer multiplies with its rows at some places of its output.

    ``x`` is [samples, …], ``at`` numbers of places in all of the samples' output, flattened.
    The result is [places, taps], for a depthwise layer [channels, places, taps].
    """
    if layer.op.kind == DENSE:
        return x.reshape(-1, network.shape(layer.weights)[-1])[at]
    options = layer.op.options
    _, height, width, _ = network.shape(layer.weights)
    _, out_height, out_width, _ = network.shape(layer.output)
    sample, place = np.divmod(at, out_height * out_width)
    y, x_at = np.divmod(place, out_width)
    ways = (options.strideH, options.dilationHFactor), (options.strideW, options.dilationWFactor)
    same = options.padding == _SAME
    down = _reach(x.shape[1], out_height, height, *ways[0], same=same)
    right = _reach(x.shape[2], out_width, width, *ways[1], same=same)
    found = [
        _shifted(x, sample, y * options.strideH + dy, x_at * options.strideW + dx)
        for dy in down
        for dx in right
    ]
    stacked = np.stack(found)  # [height · width, places, channels]
    if layer.depthwise:
        return np.ascontiguousarray(stacked.transpose(2, 1, 0))
    return np.ascontiguousarray(stacked.transpose(1, 0, 2)).reshape(len(at), -1)


def places(network: Network, layer: Layer, samples: int) -> int:
    """Return in how many places of so many samples' output the layer is applied."""
    shape = network.shape(layer.output)
    return samples * math.prod(shape[:-1] if layer.op.kind == DENSE else shape[1:-1])


def products(network: Network, layer: Layer) -> int:
    """Return how many multiplications the layer makes for a sample."""
    return places(network, layer, 1) * rows(network, layer).size


def multiply(layer: Layer, taps: Floats, weights: Floats) -> Floats:
    """Return [places, outputs]: the layer's output without bias and activation."""
    if layer.depthwise:
        product: Floats = np.einsum("cpt,ct->pc", taps, weights)
        return product
    return taps @ weights.T


def _reach(size: int, out: int, taps: int, stride: int, dilation: int, *, same: bool) -> list[int]:
    """Return where each tap lies, relative to stride times the place."""
    spread = (taps - 1) * dilation + 1
    before = max((out - 1) * stride + spread - size, 0) // 2 if same else 0
    return [k * dilation - before for k in range(taps)]


def _shifted(x: Floats, sample: Any, y: Any, x_at: Any) -> Floats:  # noqa: ANN401
    inside = (y >= 0) & (y < x.shape[1]) & (x_at >= 0) & (x_at < x.shape[2])
    found = x[sample, np.clip(y, 0, x.shape[1] - 1), np.clip(x_at, 0, x.shape[2] - 1)]
    return np.where(inside[:, None], found, np.float32(0))
