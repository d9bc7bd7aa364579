"""Where the numbers of a .tflite file lie: its tensors' data, its scales, what a compiler put in.

Reads places and never values, so that a patch can be made of files whose bytes all differ. What
is no .tflite file has no arrays; what lies between them is the skeleton.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_MAGIC: Final = b"TFL3"
_LEAST: Final = 16  # bytes: what is shorter is skeleton

# Bytes of a number, by the schema's TensorType; of all others each byte is one.
_TYPES: Final = {"FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "INT64": 8, "INT16": 2, "FLOAT64": 8}

# Slots of the schema's tables: of a Buffer, an Operator, a QuantizationParameters (with widths).
_DATA, _CUSTOM_OPTIONS = 4, 14
_QUANTIZATION: Final = {"min": (4, 4), "max": (6, 4), "scale": (8, 4), "zero point": (10, 8)}


@dataclass(frozen=True, slots=True, order=True)
class Array:
    """Numbers of ``width`` bytes, side by side; ``role`` and ``name`` say which they are."""

    at: int
    size: int
    width: int
    role: str
    name: str

    @property
    def end(self) -> int:
        return self.at + self.size


def arrays(model: bytes) -> list[Array]:
    """Return what arrays there are, in order, none over another."""
    if model[4:8] != _MAGIC:
        return []
    try:
        found = sorted(_arrays(model))
    except (ImportError, IndexError, TypeError, ValueError, struct.error):
        return []  # a damaged file is still a file: it travels without our knowledge of it
    return list(_apart(found, len(model)))


def _apart(found: list[Array], size: int) -> Iterator[Array]:
    """Walk those of ``found`` that lie wholly behind the one before."""
    end = 0
    for array in found:
        if array.at >= end and array.end <= size and array.size >= _LEAST:
            yield array
            end = array.end


def _arrays(model: bytes) -> Iterator[Array]:
    from ai_edge_litert import schema_py_generated as schema

    root = schema.Model.GetRootAsModel(model, 0)
    widths = {getattr(schema.TensorType, name): size for name, size in _TYPES.items()}
    owners: dict[int, tuple[str, int]] = {}
    for sub in (root.Subgraphs(k) for k in range(root.SubgraphsLength())):
        for tensor in (sub.Tensors(k) for k in range(sub.TensorsLength())):
            name = (tensor.Name() or b"").decode(errors="replace")
            owners.setdefault(tensor.Buffer(), (name, widths.get(tensor.Type(), 1)))
            yield from _scales(tensor.Quantization(), name)
        for k in range(sub.OperatorsLength()):
            yield from _options(sub.Operators(k), k)
    for k in range(root.BuffersLength()):
        name, width = owners.get(k, (f"buffer {k}", 1))
        yield from _data(root.Buffers(k), name, width)


def _data(buffer: Any, name: str, width: int) -> Iterator[Array]:  # noqa: ANN401
    if buffer.Offset() > 1:  # a large buffer lies behind the flatbuffer
        yield _array(buffer.Offset(), buffer.Size(), width, "data", name)
    else:
        yield from _vector(buffer, _DATA, width, "data", name)


def _options(operator: Any, number: int) -> Iterator[Array]:  # noqa: ANN401
    name = f"operator {number}"
    if operator.LargeCustomOptionsOffset() > 1:
        at, size = operator.LargeCustomOptionsOffset(), operator.LargeCustomOptionsSize()
        yield _array(at, size, 1, "options", name)
    else:
        yield from _vector(operator, _CUSTOM_OPTIONS, 1, "options", name)


def _scales(quantization: Any, name: str) -> Iterator[Array]:  # noqa: ANN401
    for role, (slot, width) in _QUANTIZATION.items():
        if quantization:
            yield from _vector(quantization, slot, width, role, name)


def _vector(table: Any, slot: int, width: int, role: str, name: str) -> Iterator[Array]:  # noqa: ANN401
    """Walk the one vector in ``slot``, or none: the generated classes tell all but its place."""
    tab = table._tab  # noqa: SLF001
    if offset := tab.Offset(slot):
        yield _array(
            tab.Vector(offset),
            tab.VectorLen(offset) * (width if role in _QUANTIZATION else 1),
            width,
            role,
            name,
        )


def _array(at: int, size: int, width: int, role: str, name: str) -> Array:
    return Array(at, size, width if size % width == 0 else 1, role, name)
