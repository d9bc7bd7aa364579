"""Cross-layer equalisation: channels brought to one size, so that one scale fits them all.

A channel may be divided by a factor where it is made and multiplied where it is used: exact in
floating point, as nothing but ReLU, sums, pooling and padding stands between. Channels that are
tied by a sum share their factors. Rewrites the float network and runs nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from littoral_converter.ptq import linear, ranges
from littoral_converter.ptq.linear import Layer
from littoral_converter.ptq.network import Network, Op

Floats = NDArray[np.float32]

_POWERS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST: Final = 1e-3  # of the largest channel: below, a channel counts as empty
_VALUES: Final = 300_000  # of what was seen: enough to choose a power
_PASSING: Final = ("RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD")


@dataclass(slots=True)
class _Ties:
    """Which tensors share their channels' factors, and which cannot have any."""

    parents: dict[int, int] = field(default_factory=dict)
    repeats: dict[int, int] = field(default_factory=dict)  # how often the channels follow
    fixed: set[int] = field(default_factory=set)

    def root(self, tensor: int) -> int:
        parent = self.parents.setdefault(tensor, tensor)
        return tensor if parent == tensor else self.root(parent)

    def tie(self, a: int, b: int) -> None:
        if self.repeats.get(a, 1) == self.repeats.get(b, 1):
            self.parents[self.root(b)] = self.root(a)
        else:
            self.fixed |= {a, b}

    def repeat(self, a: int, b: int, times: int) -> None:
        self.parents[self.root(b)] = self.root(a)
        self.repeats[b] = self.repeats.get(a, 1) * times

    def groups(self) -> Iterable[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for tensor in self.parents:
            found[self.root(tensor)].append(tensor)
        return [group for group in found.values() if not self.fixed.intersection(group)]


def equalise(network: Network, seen: Mapping[int, Floats]) -> int:
    """Rewrite ``network``; return how many groups of tensors were changed.

    ``seen`` is what each activation held, as [n, channels].
    """
    seen = {t: v[:: -(-v.size // _VALUES)] for t, v in seen.items()}
    layers = tuple(linear.layers(network))
    ties = _ties(network, layers)
    changed = 0
    for group in ties.groups():
        makers = [layer for layer in layers if layer.output in group]
        users = [layer for layer in layers if layer.input in group]
        if not makers or not users or any(t not in seen for t in group):
            continue
        factors = _factors(network, group, users, seen=seen, ties=ties)
        if factors is None:
            continue
        for layer in makers:
            _divide(network, layer, factors)
        for layer in users:
            _multiply(network, layer, np.tile(factors, ties.repeats.get(layer.input, 1)))
        changed += 1
    return changed


def swallowed(network: Network) -> dict[int, int]:
    """Return the tensors that only a sum with a ReLU uses, and what they are added to."""
    sums = [op for op in network.ops if op.kind == "ADD" and _relu(op)]
    pairs = [pair for op in sums for pair in (op.inputs, op.inputs[::-1])]
    return {
        one: other
        for one, other in pairs
        if network.shape(one) == network.shape(other)
        and len(network.consumers(one)) == 1
        and network.constant(one) is None
        and network.constant(other) is None
    }


def _relu(op: Op) -> bool:
    return int(op.options.fusedActivationFunction) == 1


def _ties(network: Network, layers: tuple[Layer, ...]) -> _Ties:
    ties = _Ties()
    ties.fixed |= {*network.inputs, *network.outputs}
    by_op = {layer.op.index: layer for layer in layers}
    for op in network.ops:
        tensors = [t for t in (*op.inputs, *op.outputs) if t >= 0 and network.constant(t) is None]
        for tensor in tensors:
            ties.root(tensor)
        if (layer := by_op.get(op.index)) is not None:
            if not layer.scalable:
                ties.fixed.add(layer.output)
        elif not _pass(network, op, ties):
            ties.fixed.update(tensors)
    return ties


def _pass(network: Network, op: Op, ties: _Ties) -> bool:
    """Tie what ``op`` passes on channel by channel; say whether it does."""
    if not op.outputs or getattr(op.options, "fusedActivationFunction", 0) not in {0, 1}:
        return False
    source, result = op.inputs[0], op.outputs[0]
    before, after = network.shape(source), network.shape(result)
    if op.kind == "RESHAPE" and before and after:
        times, rest = divmod(after[-1], before[-1])
        if rest:
            return False
        ties.repeat(source, result, times)
        return True
    if op.kind == "ADD":
        other = op.inputs[1]
        passes = before == after == network.shape(other) and not any(
            network.constant(t) is not None for t in (source, other)
        )
        if passes:
            ties.tie(source, other)
    elif op.kind == "MEAN":
        passes = _spares_channels(network, op)
    else:
        passes = op.kind in _PASSING and before[-1:] == after[-1:]
    if passes:
        ties.tie(source, result)
    return passes


def _spares_channels(network: Network, op: Op) -> bool:
    """Whether a mean is not taken over the channels."""
    axes, last = network.constant(op.inputs[1]), len(network.shape(op.inputs[0])) - 1
    return axes is not None and all(int(axis) % (last + 1) != last for axis in axes.flat)


def _factors(
    network: Network,
    group: list[int],
    users: list[Layer],
    *,
    seen: Mapping[int, Floats],
    ties: _Ties,
) -> Floats | None:
    """Return what to divide the channels by, None where leaving them is best."""
    own = [t for t in group if ties.repeats.get(t, 1) == 1]
    largest = [np.abs(seen[t]).max(axis=0) for t in own]
    size = np.maximum.reduce([m / max(float(m.max()), 1e-12) for m in largest])
    size = np.maximum(size, _LEAST).astype(np.float32)
    square = np.mean([np.square(seen[t]).mean(axis=0) for t in own], axis=0)
    partners = swallowed(network)
    folded = [_folded(network, layer, len(size)) for layer in users]

    def harm(power: float) -> float:
        factors = size**power
        matters = sum(w.sum(axis=(0, 1)) for _, w in folded) * factors**2
        total = 0.0
        for tensor in own:
            values = seen[tensor] / factors
            other = None if partners.get(tensor) is None else seen[partners[tensor]] / factors
            limits = ranges.best(values, matters, added=other)
            total += float((ranges.errors(values, limits, added=other) * matters).sum())
        return total + sum(_weight_harm(r, factors, square) for r, _ in folded)

    power = min(_POWERS, key=harm)
    return None if power == 0 else size**power


def _folded(network: Network, layer: Layer, channels: int) -> tuple[Floats, Floats]:
    """Return the rows as [outputs, repeats, channels] and their squares."""
    rows = linear.rows(network, layer)
    if layer.depthwise:
        rows = np.diag(np.sqrt(np.square(rows).sum(axis=1)))
    folded = rows.reshape(len(rows), -1, channels)
    return folded, np.square(folded)


def _weight_harm(rows: Floats, factors: Floats, square: Floats) -> float:
    """Return the error that rounding the scaled weights makes in the layer's output."""
    step = np.abs(rows * factors).max(axis=(1, 2)) / 127
    return float((step**2).sum() / 12 * (square / factors**2).sum() * rows.shape[1])


def _divide(network: Network, layer: Layer, factors: Floats) -> None:
    linear.set_rows(network, layer, linear.rows(network, layer) / factors[:, None])
    if layer.bias >= 0:
        network.set_constant(layer.bias, linear.offsets(network, layer) / factors)


def _multiply(network: Network, layer: Layer, factors: Floats) -> None:
    scaled = linear.rows(network, layer) * linear.per_channel(network, layer, factors)
    linear.set_rows(network, layer, scaled.astype(np.float32))
