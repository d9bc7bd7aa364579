"""Which operators an Edge TPU would run, told from the model before it was compiled: an estimate.

The compiler makes one part of the graph for the Edge TPU, the first that it can. What needs a
result of the processor which itself came out of that part would begin a second one, and stays
on the processor; a beginning on the processor, and branches beside it, do no harm.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from littoral_converter.edgetpu import rules
from littoral_converter.edgetpu.compiled import OPERATOR
from littoral_converter.graph import Graph, Subgraph

_BEHIND: Final = (
    "it needs the result of {name}, computed on the processor behind the Edge TPU's part of the "
    "model; a second part is not made"
)
UNTOLD: Final = "the compiler left it, for a reason of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An operator that stays on the processor."""

    index: int  # in the graph's order
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    mapped: tuple[int, ...]  # the operators that the Edge TPU would run, in the graph's order
    left: tuple[Left, ...]

    @property
    def cpu(self) -> dict[str, int]:
        return dict(sorted(Counter(left.name for left in self.left).items()))

    @property
    def reasons(self) -> dict[str, tuple[str, ...]]:
        return reasons((left.name, left.reason) for left in self.left)


def reasons(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return by operator its reasons, each once, the most frequent first."""
    found: dict[str, Counter[str]] = {}
    for name, reason in pairs:
        found.setdefault(name, Counter())[reason] += 1
    return {name: tuple(r for r, _ in found[name].most_common()) for name in sorted(found)}


def predict(graph: Graph) -> Prediction:
    """Return what an Edge TPU would run of ``graph``."""
    main = graph.main
    walk = _Walk(main)
    for index in range(len(main.operators)):
        walk.step(index)
    return Prediction(mapped=tuple(walk.mapped), left=tuple(walk.left))


def explain(graph: Graph) -> tuple[Left, ...]:
    """Return which operators of ``graph``, which was compiled, are the processor's, and why."""
    main = graph.main
    walk = _Walk(main)
    for index in range(len(main.operators)):
        walk.step(index)
    taken = [k for k in walk.mapped if main.operators[k].name != OPERATOR]
    left = [Left(index=k, name=main.operators[k].name, reason=UNTOLD) for k in taken]
    return tuple(sorted([*walk.left, *left], key=lambda one: one.index))


class _Walk:
    """Goes through a graph in its order, in which an operator stands behind all that it needs."""

    def __init__(self, graph: Subgraph) -> None:
        self._graph = graph
        self.mapped: list[int] = []
        self.left: list[Left] = []
        self._touched: set[int] = set()  # tensors that came out of the Edge TPU, or of what did
        self._behind: dict[
            int, str
        ] = {}  # tensors that a processor made of these, and its operator

    def step(self, index: int) -> None:
        operator = self._graph.operators[index]
        compiled = operator.name == OPERATOR
        reason = None if compiled else rules.why_not(operator, self._graph)
        behind = next((self._behind[k] for k in operator.inputs if k in self._behind), None)
        if reason is None and (behind is None or compiled):
            self.mapped.append(index)
            self._touched.update(operator.outputs)
            return
        end = behind if reason is None and behind is not None else operator.name
        words = reason or _BEHIND.format(name=end)
        self.left.append(Left(index=index, name=operator.name, reason=words))
        if self._touched.intersection(operator.inputs):
            self._touched.update(operator.outputs)
            self._behind.update(dict.fromkeys(operator.outputs, end))
