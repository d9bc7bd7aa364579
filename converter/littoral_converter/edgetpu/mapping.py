"""What of a model runs on an Edge TPU: read where it was compiled, else predicted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from littoral_converter.edgetpu import compiled, predict
from littoral_converter.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How operators divide between Edge TPU and processor; None is what only a compiler knows."""

    source: Literal["compiled", "predicted"]
    mapped: int | None  # of a compiled file: known where what it was compiled from is there
    cpu: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    min_runtime_version: int | None = None
    cached_bytes: int | None = None  # parameters that stay on the chip
    streamed_bytes: int | None = None  # parameters that are sent for each inference
    parts: int | None = None  # of the graph, each an operator for the Edge TPU
    tokens: tuple[str, ...] = ()  # in hex; models that share one share the chip's memory

    @property
    def left(self) -> int:
        return sum(self.cpu.values())


def of(graph: Graph, *, twin: Graph | None = None) -> Mapping:
    """Return the mapping of ``graph``; ``twin`` is what it was compiled from, where it was.

    Raises:
        MalformedError: It says that it was compiled, and holds no package.

    """
    packages = compiled.read(graph)
    if not packages:
        found = predict.predict(graph)
        return Mapping(
            source="predicted", mapped=len(found.mapped), cpu=found.cpu, reasons=found.reasons
        )
    facts = compiled.facts(packages)
    left = predict.explain(graph)
    return Mapping(
        source="compiled",
        mapped=None if twin is None else len(twin.main.operators) - len(left),
        cpu=dict(sorted(Counter(one.name for one in left).items())),
        reasons=predict.reasons((one.name, one.reason) for one in left),
        min_runtime_version=facts.min_runtime_version,
        cached_bytes=facts.cached_bytes,
        streamed_bytes=facts.streamed_bytes,
        parts=facts.parts,
        tokens=tuple(f"{token:016x}" for token in facts.tokens),
    )


def twins(model: Graph, other: Graph) -> bool:
    """Whether ``other`` may be what ``model`` was compiled from: same border, same remains."""
    if any(o.name == compiled.OPERATOR for o in other.main.operators):
        return False
    remains = Counter(o.name for o in model.main.operators if o.name != compiled.OPERATOR)
    whole = Counter(o.name for o in other.main.operators)
    return _border(model) == _border(other) and remains <= whole


def _border(graph: Graph) -> list[tuple[tuple[int, ...], str]]:
    main = graph.main
    # The compiler makes inputs of an LSTM's states, behind the model's own.
    ends = [main.inputs[0], *main.outputs] if main.inputs else [*main.outputs]
    return [(main.tensors[k].shape, main.tensors[k].dtype) for k in ends]
