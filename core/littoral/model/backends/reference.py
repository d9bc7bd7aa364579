"""The definition of INT8 arithmetic, in NumPy: slow, plain, the same on every machine."""

from littoral.bundle.manifest import Tensor
from littoral.errors import BackendError
from littoral.model import graph, tensors
from littoral.model.backends import operators
from littoral.model.backends.base import Array


class ReferenceSession:
    """A graph, walked operator by operator."""

    def __init__(self, model: bytes) -> None:
        self._graph = graph.read(model)
        try:
            self.inputs = tuple(self._spec(i) for i in self._graph.inputs)
            self.outputs = tuple(self._spec(i) for i in self._graph.outputs)
        except (ValueError, IndexError) as e:
            raise BackendError(f"the reference refuses this model: {e}") from e
        unknown = {node.op for node in self._graph.nodes} - operators.OPERATORS.keys()
        if unknown:
            raise BackendError(
                f"operators not known to the reference: {', '.join(sorted(unknown))}; "
                f"known are: {', '.join(operators.OPERATORS)}"
            )

    def run(self, *inputs: Array) -> tuple[Array, ...]:
        tensors.check_all(inputs, self.inputs)
        known = {i: t.data for i, t in enumerate(self._graph.tensors) if t.data is not None}
        values: dict[int, Array] = {**known, **dict(zip(self._graph.inputs, inputs, strict=True))}
        for node in self._graph.nodes:
            try:
                self._step(node, values)
            except (ValueError, IndexError, KeyError, TypeError, AttributeError) as e:
                raise BackendError(f"{node.op}: the reference cannot run it ({e!r})") from e
        return tuple(values[i] for i in self._graph.outputs)

    def _step(self, node: graph.Node, values: dict[int, Array]) -> None:
        used = (i for i in node.inputs if i >= 0)
        operands = tuple(operators.Operand(self._graph.tensors[i], values[i]) for i in used)
        (made,) = node.outputs
        out = self._graph.tensors[made]
        result = operators.apply(operators.Step(node.op, operands, node.options, out))
        if result.shape != out.shape or result.dtype != out.dtype:
            raise BackendError(
                f"{node.op}: expected {out.dtype} {list(out.shape)}, "
                f"made {result.dtype} {list(result.shape)}"
            )
        values[made] = result

    def _spec(self, index: int) -> Tensor:
        return self._graph.tensors[index].spec(self._graph.names.get(index))
