"""One operator as a file uses it, as values: types, shapes, scales, options. Rules nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One operator as it is used; an absent optional input is None in both tuples."""

    inputs: tuple[str | None, ...]  # the schema's names of types
    outputs: tuple[str | None, ...]
    shapes: tuple[tuple[int, ...], ...]  # of the inputs
    options: Any
    scales: tuple[tuple[float, ...], ...]  # of inputs, then outputs
    sparse: bool = False  # the weights

    def types(self, inputs: tuple[str, ...], output: str) -> bool:
        """Whether the first inputs and the first output are of these types."""
        return self.inputs[: len(inputs)] == inputs and self.outputs[:1] == (output,)

    @property
    def rank(self) -> int:
        return max(map(len, self.shapes), default=0)

    @property
    def spread(self) -> bool:
        """Whether two inputs have different shapes."""
        return len(self.shapes) > 1 and self.shapes[0] != self.shapes[1]

    @property
    def hybrid(self) -> bool:
        """Whether it computes from floats and weights of eight bits."""
        return self.types(("FLOAT32", "INT8"), "FLOAT32")

    def per_channel(self, dimension: int) -> bool:
        """Whether the weights have a scale for each place along ``dimension``."""
        return len(self.scales[1]) == self.shapes[1][dimension] > 0

    def by_type(self, versions: Mapping[str, int]) -> int:
        """Return what ``versions`` says of the first input's type; 1 where it says nothing."""
        return versions.get(self.inputs[0] or "", 1)

    def option(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.options, name, 0)


def of(graph: Any, operator: Any) -> Use:  # noqa: ANN401
    """Return how ``graph``, the schema's record, uses ``operator``."""
    given = _tensors(graph, operator.inputs)
    made = _tensors(graph, operator.outputs)
    types = names("TensorType")
    return Use(
        inputs=tuple(None if t is None else types[t.type] for t in given),
        outputs=tuple(None if t is None else types[t.type] for t in made),
        shapes=tuple(() if t is None else tuple(map(int, _listed(t.shape))) for t in given),
        options=operator.builtinOptions,
        scales=tuple(_scales(t) for t in (*given, *made)),
        sparse=len(given) > 1 and given[1] is not None and given[1].sparsity is not None,
    )


def _tensors(graph: Any, numbers: Any) -> list[Any]:  # noqa: ANN401
    return [graph.tensors[int(n)] if n >= 0 else None for n in _listed(numbers)]


def _scales(tensor: Any) -> tuple[float, ...]:  # noqa: ANN401
    quantization = None if tensor is None else tensor.quantization
    return () if quantization is None else tuple(map(float, _listed(quantization.scale)))


def _listed(values: Any) -> Any:  # noqa: ANN401
    return () if values is None else values


@cache
def names(enum: str) -> dict[int, str]:
    """Return the schema's names by number."""
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enum))
    return {value: name for name, value in members.items() if isinstance(value, int)}
