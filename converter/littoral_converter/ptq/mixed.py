"""Mixed precision: operators are given back their floats one by one, where it helps most.

First operators are computed in floating point from eight-bit weights, which costs time; when
none is left, they get their own weights back, which costs size. Of all steps that one is taken
that lowers the loss most for its price; what each costs is told, so that somebody can choose
another point. Prices are counted, not measured: the same samples give the same curve.
In a large network only the operators that seem worst are judged, and several are taken at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from littoral.errors import ConversionError
from littoral_converter.ptq import backend, effort, errors, linear
from littoral_converter.ptq.backend import Plan, Precision, Ranges
from littoral_converter.ptq.judge import Judge, Verdict
from littoral_converter.ptq.network import Network, Op

_JUDGED: Final = 4  # steps that are judged in each round of a large network
_POINTS: Final = 40  # of a large network's curve, at most
_AGAIN: Final = 16  # steps that are judged anew in each round: the best of the round before
_LEAST: Final = 0.02  # price of any step: an operator left is a conversion at its border


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An operator that was given back floats."""

    op: int
    precision: Precision  # as what it is computed now
    name: str  # of its output
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One model on the curve of agreement against size and time."""

    plan: Plan
    model: bytes
    verdict: Verdict
    taken: tuple[Taken, ...] = ()  # what was given back last


@dataclass(slots=True)
class _Step:
    op: Op
    precision: Precision
    price: float
    worth: float = np.inf  # loss saved for its price, when it was last judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """What is mixed: the refined network, and the float one that it came from."""

    network: Network
    reference: Network
    ranges: Ranges
    judge: Judge
    plan: Plan
    _layers: dict[int, linear.Layer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._layers.update({layer.op.index: layer for layer in linear.layers(self.reference)})

    def point(self, other: Mapping[int, Precision]) -> Point:
        """Return the model that has ``other`` beside what the plan says.

        Raises:
            ConversionError: The quantizer cannot make it.
            BackendError: LiteRT cannot run it.

        """
        plan = replace(self.plan, other={**self.plan.other, **other})
        restored = self.network.copy()
        for op, layer in self._layers.items():
            if plan.other.get(op) == "float":
                _restore(restored, self.reference, layer)
        model = backend.quantize(restored, self.ranges, plan)
        return Point(plan=plan, model=model, verdict=self.judge.ask(model))

    @property
    def length(self) -> int:
        """Return how many steps there are from all integer to all float."""
        return len(list(self._computing())) + len(list(self._weights()))

    @property
    def last(self) -> Point:
        """Return the end of the curve: all that can be given back is."""
        steps = (*self._computing(), *self._weights())
        return self.point({step.op.index: "float" for step in steps})

    def curve(self) -> Iterator[Point]:
        """Walk from all integer towards all float, each point with one step more, or some.

        Walk as far as wanted: the next point is looked for when it is asked for.
        """
        point = self.point({})
        yield point
        large = effort.large(self.reference)
        pace = -(-self.length // _POINTS) if large else 1
        for steps in (list(self._computing()), list(self._weights())):
            if large:
                self._guess(point, steps)
            while steps:
                judged = self._judged(point, steps, most=max(_JUDGED, pace) if large else _AGAIN)
                if not judged:
                    break
                taken = sorted(judged, key=lambda pair: -pair[1].worth)[:pace]
                found = taken[0][0] if pace == 1 else self._together(point, taken)
                steps[:] = [s for s in steps if s not in [step for _, step in taken]]
                point = replace(found, taken=tuple(self._told(step) for _, step in taken))
                yield point

    def _together(self, point: Point, taken: list[tuple[Point, _Step]]) -> Point:
        given = {step.op.index: step.precision for _, step in taken}
        return self.point({**point.plan.other, **given})

    def _told(self, step: _Step) -> Taken:
        return Taken(
            op=step.op.index,
            precision=step.precision,
            name=self.network.name(step.op.outputs[0]),
            kind=step.op.kind,
        )

    def _guess(self, point: Point, steps: list[_Step]) -> None:
        """Value steps by the noise that each operator adds to what it is given."""
        found = errors.layers(self.reference, point.model, self.judge.samples)
        noise = {error.name: 10 ** (-error.snr_db / 10) for error in found}
        for step in steps:
            before = [noise.get(self.reference.name(t), 0.0) for t in step.op.inputs if t >= 0]
            after = noise.get(self.reference.name(step.op.outputs[0]), 0.0)
            step.worth = max(after - max(before, default=0.0), 0.0) / step.price

    def _computing(self) -> Iterator[_Step]:
        for op in self.network.ops:
            if self.plan.precision(op) != "int8" or not self.network.is_float(op.outputs[0]):
                continue
            if op.index in self._layers:
                yield _Step(op, "widened", self._share(op) + _LEAST)
            else:
                yield _Step(op, "float", _LEAST)

    def _weights(self) -> Iterator[_Step]:
        sizes = {k: linear.rows(self.reference, v).size for k, v in self._layers.items()}
        for index, layer in self._layers.items():
            if self.plan.precision(layer.op) == "int8":
                yield _Step(layer.op, "float", sizes[index] / sum(sizes.values()) + _LEAST)

    def _share(self, op: Op) -> float:
        """Return which part of all multiplications is made in ``op``."""
        made = {k: linear.products(self.reference, layer) for k, layer in self._layers.items()}
        return made[op.index] / sum(made.values())

    def _judged(self, point: Point, steps: list[_Step], *, most: int) -> list[tuple[Point, _Step]]:
        """Judge ``most`` steps, of those that looked best when they were last judged."""
        judged: list[tuple[Point, _Step]] = []
        steps.sort(key=lambda s: -s.worth)
        for step in list(steps):
            if len(judged) >= most and np.isfinite(step.worth):
                break
            try:
                tried = self.point({**point.plan.other, step.op.index: step.precision})
            except ConversionError:
                steps.remove(step)  # the quantizer has no such thing
                continue
            step.worth = (point.verdict.loss - tried.verdict.loss) / step.price
            judged.append((tried, step))
        return judged


def _restore(network: Network, reference: Network, layer: linear.Layer) -> None:
    """Give a layer its own weights back: the rounded ones were made for the grid."""
    linear.set_rows(network, layer, linear.rows(reference, layer))
    if layer.bias >= 0:
        network.set_constant(layer.bias, linear.offsets(reference, layer))
