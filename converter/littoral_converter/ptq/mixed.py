"""Mixed precision: operators are given back their floats one by one, where it helps most.

First operators are computed in floating point from eight-bit weights, which costs time; when
none is left, they get their own weights back, which costs size. Of all steps that one is taken
that lowers the loss most for its price; what each costs is told, so that somebody can choose
another point. Prices are counted, not measured: the same samples give the same curve.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from littoral.errors import ConversionError
from littoral_converter.ptq import backend, linear, observe
from littoral_converter.ptq.backend import Plan, Precision, Ranges
from littoral_converter.ptq.judge import Judge, Verdict
from littoral_converter.ptq.network import Network, Op

_TIMED: Final = 50  # invokes
_AGAIN: Final = 16  # steps that are judged anew in each round: the best of the round before
_LEAST: Final = 0.02  # price of any step: an operator left is a conversion at its border


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One model on the curve of agreement against size and time."""

    plan: Plan
    model: bytes
    verdict: Verdict
    op: int | None = None  # what was left last
    precision: Precision = "int8"  # as what
    name: str = ""  # of its output


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
        plan = Plan(
            dense_per_channel=self.plan.dense_per_channel, other={**self.plan.other, **other}
        )
        restored = self.network.copy()
        for op, layer in self._layers.items():
            if plan.other.get(op) == "float":
                _restore(restored, self.reference, layer)
        model = backend.quantize(restored, self.ranges, plan)
        return Point(plan=plan, model=model, verdict=self.judge.ask(model))

    def curve(self) -> Iterator[Point]:
        """Walk from all integer towards all float, each point with one step more.

        Walk as far as wanted: the next point is looked for when it is asked for.
        """
        point = self.point({})
        yield point
        for steps in (list(self._computing()), list(self._weights())):
            while steps:
                taken = self._best(point, steps)
                if taken is None:
                    break
                point, step = taken
                steps.remove(step)
                yield point

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

    def _best(self, point: Point, steps: list[_Step]) -> tuple[Point, _Step] | None:
        """Take the best step, of those that looked best when they were last judged."""
        judged: list[tuple[Point, _Step]] = []
        steps.sort(key=lambda s: -s.worth)
        for step in list(steps):
            if len(judged) >= _AGAIN and np.isfinite(step.worth):
                break
            try:
                tried = self.point({**point.plan.other, step.op.index: step.precision})
            except ConversionError:
                steps.remove(step)  # the quantizer has no such thing
                continue
            step.worth = (point.verdict.loss - tried.verdict.loss) / step.price
            judged.append((tried, step))
        if not judged:
            return None
        found, step = max(judged, key=lambda pair: pair[1].worth)
        return (
            Point(
                plan=found.plan,
                model=found.model,
                verdict=found.verdict,
                op=step.op.index,
                precision=step.precision,
                name=self.network.name(step.op.outputs[0]),
            ),
            step,
        )


def timed_us(point: Point, judge: Judge) -> float:
    """Return the median CPU time of an invoke on this machine."""
    return observe.cpu_us(point.model, judge.samples[:_TIMED])


def _restore(network: Network, reference: Network, layer: linear.Layer) -> None:
    """Give a layer its own weights back: the rounded ones were made for the grid."""
    linear.set_rows(network, layer, linear.rows(reference, layer))
    if layer.bias >= 0:
        network.set_constant(layer.bias, linear.offsets(reference, layer))
