"""Layer after layer, in the order they run: weights and biases for what really arrives.

A quantized layer's input already errs. Its rows are rounded so that, for that input, errors
cancel; then the bias takes what is left of their mean. Changes the float network: what it
holds afterwards lies on the grid.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq import backend, linear, observe, rounding
from littoral_converter.ptq.backend import Plan, Ranges
from littoral_converter.ptq.linear import Layer
from littoral_converter.ptq.network import Network

Floats = NDArray[np.float32]

_PLACES: Final = 4_096  # of a layer's output that are looked at, and at least
_PER_TAP: Final = 8  # for each weight of a row, else its moments are chance
_PATCHED: Final = 8_000_000  # values in their patches, at most
_SAMPLES: Final = 128  # that a layer's places are taken from, and more where it has few a sample
_WORK: Final = 2_000_000_000  # multiplications a sample, of all waves together
_WAVES: Final = 6  # at least: later layers should see what earlier ones have become
_WIDEST: Final = 2_304  # taps: above, the moments' inverse takes longer than it earns
_INTEGER: Final = {"int8", "int16"}
_KEPT_BYTES: Final = 128 * 2**20  # activations held at a time, float and int8 each


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    round_weights: bool = True  # False: biases alone
    seed: int = 0


def refine(
    network: Network,
    reference: Network,
    samples: Floats,
    *,
    ranges: Ranges,
    plan: Plan,
    how: How,
    say: Callable[[int, int], None] = lambda _done, _of: None,
) -> None:
    """Change ``network``, which begins as a copy of the float ``reference``.

    ``say`` is told how many layers are done, and of how many.
    """
    todo = [layer for layer in linear.layers(network) if plan.precision(layer.op) in _INTEGER]
    rng = np.random.default_rng(how.seed)
    exact = reference.write()
    done = 0
    for wave in _waves(network, todo):
        say(done, len(todo))
        done += len(wave)
        some = _some(network, wave, samples)
        names = {layer.input: network.name(layer.input) for layer in wave}
        integer = backend.quantize(network, ranges, plan)
        real = observe.watch(integer, some, names.values())
        ideal = observe.watch(exact, some, names.values())
        for place, layer in enumerate(wave):
            at = _at(network, layer, len(some), rng)
            name = names[layer.input]
            # What layers of the same wave spoil, they make good themselves: not twice.
            inputs = real[name], (ideal if place == 0 else real)[name]
            _fit(network, reference, layer, inputs, at=at, plan=plan, how=how)


def _at(
    network: Network, layer: Layer, samples: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose the places to look at."""
    count, most = linear.places(network, layer, samples), _wanted(network, layer)
    if count <= most:
        return np.arange(count)
    return np.sort(rng.choice(count, most, replace=False))


def _wanted(network: Network, layer: Layer) -> int:
    """Return how many places should be looked at."""
    taps = linear.rows(network, layer).shape[1]
    channels = network.shape(layer.input)[-1] if layer.depthwise else 1
    return int(min(max(_PLACES, _PER_TAP * taps), max(1, _PATCHED // (taps * channels))))


def _waves(network: Network, layers: list[Layer]) -> Iterator[list[Layer]]:
    """Walk groups of neighbours that are done at once: of small networks each layer alone."""
    products = sum(linear.products(network, layer) for layer in layers)
    count = min(max(_WORK // max(products, 1), _WAVES), len(layers))
    size = max(-(-len(layers) // max(count, 1)), 1)  # there are models without a single weight
    for start in range(0, len(layers), size):
        yield layers[start : start + size]


def _some(network: Network, wave: list[Layer], samples: Floats) -> Floats:
    """Choose samples, spread over all there are: as many as are needed and fit in memory."""
    need = max(-(-_wanted(network, la) // linear.places(network, la, 1)) for la in wave)
    each = 4 * sum(math.prod(network.shape(t)) for t in {layer.input for layer in wave})
    count = min(max(_SAMPLES, need), max(8, _KEPT_BYTES // each), len(samples))
    chosen: Floats = samples[np.linspace(0, len(samples) - 1, count).astype(int)]
    return chosen


def _fit(
    network: Network,
    reference: Network,
    layer: Layer,
    inputs: tuple[Floats, Floats],
    *,
    at: NDArray[np.int64],
    plan: Plan,
    how: How,
) -> None:
    """Change one layer's rows and bias. ``inputs``: what arrives, and what would be right."""
    real = linear.patches(network, layer, inputs[0], at)
    ideal = linear.patches(network, layer, inputs[1], at).mean(axis=-2, keepdims=True)
    rows = linear.rows(reference, layer)
    wanted = linear.multiply(layer, ideal, rows)[0] + linear.offsets(reference, layer)
    per_channel = plan.dense_per_channel or layer.op.kind != linear.DENSE
    if how.round_weights and rows.shape[1] <= _WIDEST:
        rows = _rounded(layer, real, rows, per_channel=per_channel)
    else:
        rows = rounding.nearest(rows, rounding.grid(rows, per_channel=per_channel))
    linear.set_rows(network, layer, rows)
    if layer.bias >= 0:
        mean = real.mean(axis=-2, keepdims=True)
        network.set_constant(layer.bias, wanted - linear.multiply(layer, mean, rows)[0])


def _rounded(layer: Layer, real: Floats, rows: Floats, *, per_channel: bool) -> Floats:
    """Return the rows on the grid that do nearest what ``rows`` do to ``real``."""
    step = rounding.grid(rows, per_channel=per_channel)
    moments = _moments(real, layer)
    if not layer.depthwise:
        return rounding.on_grid(rows, moments, step, seen=real.shape[-2])
    alone = rounding.on_grid(rows[:, None], moments, step[:, None], seen=real.shape[-2])
    return alone[:, 0]


def _moments(taps: Floats, layer: Layer) -> NDArray[np.float64]:
    """Return [taps, taps], of a depthwise layer for each channel."""
    x = taps.astype(np.float64)
    if layer.bias >= 0:
        x -= x.mean(axis=-2, keepdims=True)  # the mean itself is the bias's business
    moments: NDArray[np.float64] = x.swapaxes(-1, -2) @ x / x.shape[-2]
    return moments
