"""What a TFLite file is made of, and whether it is truly fully integer.

Reads the flatbuffer alone: nothing is run here, and the file's own word (its declared types
of input and output) is not taken for the whole.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from littoral.errors import ConversionError, MalformedError

_MARK: Final = b"TFL3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One kind of operator in a model."""

    name: str  # the schema's; a custom one's own
    version: int
    count: int
    custom: bool = False
    floats: int = 0  # how many of them take or give floating point


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    operators: tuple[Operator, ...]
    constant_bytes: int
    min_runtime: str | None  # the oldest TFLite that has these versions, as the file says
    bad_scales: tuple[str, ...] = ()  # tensors whose scale is not finite and above 0

    @property
    def counts(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for operator in self.operators:
            counts[operator.name] += operator.count
        return dict(counts)

    @property
    def versions(self) -> dict[str, int]:
        """Return by name the last version that is used; a custom operator has none of its own."""
        known = sorted((o.name, max(o.version, 1)) for o in self.operators if not o.custom)
        return dict(known)

    @property
    def fully_integer(self) -> bool:
        return not self.bad_scales and not any(o.floats or o.custom for o in self.operators)


def read(data: bytes) -> Graph:
    """Return what the TFLite model ``data`` is made of.

    Raises:
        MalformedError: It is no such model, or damaged.

    """
    if data[4:8] != _MARK:
        raise MalformedError(f"expected a TFLite model, found something that begins {data[:8]!r}")
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAs(data, 0)
        graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
        return Graph(
            operators=tuple(_operators(model, graphs)),
            constant_bytes=sum(_constants(model)),
            min_runtime=_min_runtime(model),
            bad_scales=tuple(name for graph in graphs for name in _bad_scales(graph)),
        )
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError) as e:
        raise MalformedError(f"the TFLite model is damaged: {e}") from e


def require_integer(graph: Graph, *, allow_float: bool) -> None:
    """Do nothing if ``graph`` is fully integer, or need not be.

    Raises:
        ConversionError: It is not; says which operators are not.

    """
    if graph.fully_integer or allow_float:
        return
    what = [f"{o.floats or o.count} {o.name}" for o in graph.operators if o.floats or o.custom]
    what += [f"tensor {name}" for name in graph.bad_scales]
    raise ConversionError(
        f"the INT8 model is not fully integer: {', '.join(what)} stay in floating point or have "
        "no integer kernel; use layers that have one, or accept it in a recipe: [quantize] "
        "allow_float = true"
    )


def _operators(model: Any, graphs: list[Any]) -> Iterator[Operator]:  # noqa: ANN401
    found: Counter[tuple[str, int, bool]] = Counter()
    floats: Counter[tuple[str, int, bool]] = Counter()
    for graph in graphs:
        for i in range(graph.OperatorsLength()):
            operator = graph.Operators(i)
            kind = _kind(model.OperatorCodes(operator.OpcodeIndex()))
            found[kind] += 1
            floats[kind] += _is_float(graph, operator)
    for kind, count in sorted(found.items()):
        name, version, custom = kind
        yield Operator(name=name, version=version, count=count, custom=custom, floats=floats[kind])


def _kind(code: Any) -> tuple[str, int, bool]:  # noqa: ANN401
    # The wider field came later; old files fill the narrow one alone.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _names("BuiltinOperator")[number]
    if name == "CUSTOM":
        return (code.CustomCode() or b"CUSTOM").decode(), code.Version(), True
    return name, code.Version(), False


def _is_float(graph: Any, operator: Any) -> bool:  # noqa: ANN401
    used = [operator.Inputs(k) for k in range(operator.InputsLength())]
    used += [operator.Outputs(k) for k in range(operator.OutputsLength())]
    types = {_names("TensorType")[graph.Tensors(index).Type()] for index in used if index >= 0}
    return any("FLOAT" in name or "COMPLEX" in name for name in types)


def _bad_scales(graph: Any) -> Iterator[str]:  # noqa: ANN401
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        quantization = tensor.Quantization()
        if quantization is None:
            continue
        scales = [quantization.Scale(k) for k in range(quantization.ScaleLength())]
        if not all(math.isfinite(scale) and scale > 0 for scale in scales):
            yield tensor.Name().decode()


def _constants(model: Any) -> Iterator[int]:  # noqa: ANN401
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        # Some writers put large buffers behind the flatbuffer: an offset of 0 or 1 is none.
        yield buffer.Size() if buffer.Offset() > 1 else buffer.DataLength()


def _min_runtime(model: Any) -> str | None:  # noqa: ANN401
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            buffer = model.Buffers(entry.Buffer())
            text = bytes(buffer.Data(k) for k in range(buffer.DataLength()))
            return text.rstrip(b"\0").decode() or None
    return None


@cache
def _names(enum: str) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enum))
    return {value: name for name, value in members.items() if isinstance(value, int)}
