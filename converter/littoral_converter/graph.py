"""A .tflite file of any kind as plain values, to be looked at; nothing of it is run.

Unlike core's reader, which loads what it will compute, this one takes every file that LiteRT
could: several subgraphs, custom operators, types that nothing here computes with, shapes that are
open. The file may be a stranger's: what is read of it is bounded by what it holds.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from littoral.errors import MalformedError

_MARK: Final = b"TFL3"
# A true model of today has some thousands. One vector may be named many times in a hostile file,
# so that all of it, read as values, would not fit into memory.
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """One tensor; ``scales`` is empty, of one element, or one a channel."""

    name: str
    shape: tuple[int, ...]  # as the file has it: 1 stands for an open dimension, too
    dtype: str  # the schema's, in small letters: int8, float32, …
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    open: bool = False  # whether a dimension, the batch aside, is known only at run time
    data: NDArray[np.uint8] | None = None  # a constant's bytes

    @property
    def constant(self) -> bool:
        return self.data is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operator:
    """One operator, by the schema's name or, of a custom one, its own; an input of -1 is none."""

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom: bool = False
    custom_options: bytes = b""
    options: dict[str, int] = field(default_factory=dict)  # those in _OPTIONS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subgraph:
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    subgraphs: tuple[Subgraph, ...]
    names: dict[int, str] = field(default_factory=dict)  # what the one signature calls a tensor

    @property
    def main(self) -> Subgraph:
        return self.subgraphs[0]


_POOL: Final = ("Pool2DOptions", ("FusedActivationFunction",))
_OPTIONS: Final = {  # whose options are looked at: the schema's class of them, and which
    "AVERAGE_POOL_2D": _POOL,
    "CONCATENATION": ("ConcatenationOptions", ("FusedActivationFunction",)),
    "CONV_2D": ("Conv2DOptions", ("DilationHFactor", "DilationWFactor")),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("WeightsFormat",)),
    "MAX_POOL_2D": _POOL,
    "PACK": ("PackOptions", ("Axis",)),
    "STRIDED_SLICE": ("StridedSliceOptions", ("EllipsisMask", "NewAxisMask")),
}


def read(data: bytes) -> Graph:
    """Return what is in the TFLite model ``data``.

    Raises:
        MalformedError: It is no such model, or damaged.

    """
    if data[4:8] != _MARK:
        raise MalformedError(f"expected a TFLite model, found something that begins {data[:8]!r}")
    from ai_edge_litert import schema_py_generated as schema

    try:
        model = schema.Model.GetRootAs(data, 0)
        return _Reader(model, data).graph()
    except MalformedError:
        raise
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError) as e:
        raise MalformedError(f"the TFLite model is damaged: {e}") from e


class _Reader:
    """Counts what it reads, and reads no more than _MOST."""

    def __init__(self, model: Any, data: bytes) -> None:  # noqa: ANN401
        self._model, self._data, self._left = model, data, _MOST

    def graph(self) -> Graph:
        model = self._model
        subgraphs = tuple(
            self._subgraph(model.Subgraphs(i)) for i in self._count(model.SubgraphsLength())
        )
        if not subgraphs:
            raise MalformedError("the TFLite model holds no graph")
        return Graph(subgraphs=subgraphs, names=dict(self._names()))

    def _count(self, length: int) -> range:
        self._left -= length
        if self._left < 0:
            raise MalformedError("the TFLite model names more parts than any true one has")
        return range(length)

    def _subgraph(self, graph: Any) -> Subgraph:  # noqa: ANN401
        found = Subgraph(
            tensors=tuple(
                self._tensor(graph.Tensors(i)) for i in self._count(graph.TensorsLength())
            ),
            operators=tuple(
                self._operator(graph.Operators(i)) for i in self._count(graph.OperatorsLength())
            ),
            inputs=self._list(graph.InputsLength(), graph.Inputs),
            outputs=self._list(graph.OutputsLength(), graph.Outputs),
        )
        named = [*found.inputs, *found.outputs]
        named += [k for o in found.operators for k in (*o.inputs, *o.outputs)]
        if named and not -1 <= min(named) <= max(named) < len(found.tensors):
            raise MalformedError("the TFLite model names a tensor that it does not hold")
        return found

    def _list(self, length: int, item: Callable[[int], Any]) -> tuple[Any, ...]:
        return tuple(item(k) for k in self._count(length))

    def _vector(self, length: int, items: Callable[[], Any]) -> tuple[Any, ...]:
        """Return a list of one number a channel at once: there are tens of thousands of them."""
        self._count(length)
        return tuple(items().tolist()) if length else ()

    def _tensor(self, tensor: Any) -> Tensor:  # noqa: ANN401
        signature = self._list(tensor.ShapeSignatureLength(), tensor.ShapeSignature)
        found = tensor.Quantization()
        scales, zeros = (), ()
        if found is not None:
            scales = self._vector(found.ScaleLength(), found.ScaleAsNumpy)
            zeros = self._vector(found.ZeroPointLength(), found.ZeroPointAsNumpy)
        return Tensor(
            name=(tensor.Name() or b"").decode(errors="replace"),
            shape=self._list(tensor.ShapeLength(), tensor.Shape),
            dtype=_word("TensorType", tensor.Type()).lower(),
            scales=scales,
            zero_points=zeros,
            open=any(n < 0 for n in signature[1:]),
            data=self._bytes(tensor.Buffer()),
        )

    def _bytes(self, index: int) -> NDArray[np.uint8] | None:
        # Some files have no buffers, and the generated reader looks behind a vector's end.
        if index >= self._model.BuffersLength():
            return None
        buffer = self._model.Buffers(index)
        if buffer.DataLength():
            view: NDArray[np.uint8] = buffer.DataAsNumpy()
            return view
        if buffer.Offset() > 1:  # some writers put large buffers behind the flatbuffer
            end = buffer.Offset() + buffer.Size()
            return np.frombuffer(self._data[buffer.Offset() : end], np.uint8)
        return None

    def _operator(self, operator: Any) -> Operator:  # noqa: ANN401
        index = operator.OpcodeIndex()
        if index >= self._model.OperatorCodesLength():
            raise MalformedError("the TFLite model has an operator of no kind")
        code = self._model.OperatorCodes(index)
        # The wider field came later; old files fill the narrow one alone.
        name = _word("BuiltinOperator", max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        custom = name == "CUSTOM"
        if custom:
            name = (code.CustomCode() or b"CUSTOM").decode(errors="replace")
        return Operator(
            name=name,
            version=max(code.Version(), 1),
            inputs=self._list(operator.InputsLength(), operator.Inputs),
            outputs=self._list(operator.OutputsLength(), operator.Outputs),
            custom=custom,
            custom_options=_custom(operator) if custom else b"",
            options=_options(name, operator),
        )

    def _names(self) -> Iterator[tuple[int, str]]:
        model = self._model
        if model.SignatureDefsLength() != 1:
            return
        signature = model.SignatureDefs(0)
        for length, item in (
            (signature.InputsLength(), signature.Inputs),
            (signature.OutputsLength(), signature.Outputs),
        ):
            for k in self._count(length):
                yield item(k).TensorIndex(), (item(k).Name() or b"").decode(errors="replace")


def _custom(operator: Any) -> bytes:  # noqa: ANN401
    return operator.CustomOptionsAsNumpy().tobytes() if operator.CustomOptionsLength() else b""


def _options(name: str, operator: Any) -> dict[str, int]:  # noqa: ANN401
    """Return the options in _OPTIONS, read at once: a damaged file is one when it is read."""
    from ai_edge_litert import schema_py_generated as schema

    table = operator.BuiltinOptions()
    if name not in _OPTIONS or table is None:
        return {}
    kind, wanted = _OPTIONS[name]
    if operator.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind):
        return {}
    found = getattr(schema, kind)()
    found.Init(table.Bytes, table.Pos)
    return {option: int(getattr(found, option)()) for option in wanted}


def _word(enum: str, number: int) -> str:
    return _words(enum).get(number, f"{enum} {number}")


@cache
def _words(enum: str) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enum))
    return {value: name for name, value in members.items() if isinstance(value, int)}
