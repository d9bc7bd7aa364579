"""What a model's file says of its input in words that need no framework: its shape, its ends.

Pictures are resized and scaled to it before anything reads the model. None is no error: then
people say it.
"""

import json
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any, Final, Literal

from littoral.bundle.manifest import Tensor
from littoral.model import tensors
from littoral_converter.samples.example import inside, numbers
from littoral_converter.source import Kind, Source

_MAX_CONFIG: Final = 64 * 2**20
_BROKEN: Final = (OSError, struct.error, IndexError, TypeError, ValueError, AttributeError)
Shape = tuple[int, ...]
Dtype = Literal["int8", "uint8", "int16"]


def shape(source: Source) -> Shape | None:
    """Return the shape of one sample, None where it is open or only a framework can tell."""
    match source.kind:
        case Kind.KERAS3 | Kind.KERAS2:
            found = _keras(source.path)
        case Kind.TFLITE:
            found = _tflite(source.path)
        case Kind.ONNX:
            found = _onnx(source.path)
        case _:
            found = None
    if found is None or len(found) < 2:  # noqa: PLR2004
        return None
    sample = found[1:]
    return tuple(int(n) for n in sample) if all(type(n) is int and n > 0 for n in sample) else None


def ends(source: Source) -> tuple[float, float] | None:
    """Return the real values between which the input stores its integers, None if it does not.

    A quantized model says by this what its pictures' black and white are.
    """
    if source.kind is not Kind.TFLITE:
        return None
    from ai_edge_litert import schema_py_generated as schema

    dtypes: dict[int, Dtype] = {
        schema.TensorType.INT8: "int8",
        schema.TensorType.UINT8: "uint8",
        schema.TensorType.INT16: "int16",
    }
    try:
        tensor = _input(source.path)
        how = None if tensor is None else tensor.Quantization()
        if tensor is None or how is None or tensor.Type() not in dtypes or how.ScaleLength() != 1:
            return None
        spec = Tensor(
            name="input",
            shape=(),
            dtype=dtypes[tensor.Type()],
            scale=float(how.Scale(0)),
            zero_point=int(how.ZeroPoint(0)) if how.ZeroPointLength() else 0,
        )
    except _BROKEN:
        return None
    return tensors.ends(spec) if tensors.is_quantized(spec) else None


def _keras(path: Path) -> list[Any] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("config.json")
            if info.file_size > _MAX_CONFIG:
                return None
            config = json.loads(archive.read(info))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, NotImplementedError, RecursionError):
        return None  # whoever loads the model says what is wrong with it
    match config:
        case {"config": {"layers": [{"config": {"batch_shape": [*found]}}, *_]}}:
            return found
        case {"config": {"layers": [{"config": {"batch_input_shape": [*found]}}, *_]}}:
            return found
        case {"build_config": {"input_shape": [*found]}}:
            return found
        case _:
            return None


def _tflite(path: Path) -> list[Any] | None:
    try:
        tensor = _input(path)
        if tensor is None:
            return None
        return [int(tensor.Shape(k)) for k in range(tensor.ShapeLength())]
    except _BROKEN:
        return None


def _input(path: Path) -> Any:  # noqa: ANN401 (the schema's Tensor is without types)
    """Return the one input of a .tflite file, None where there are more. Raises _BROKEN."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
    return graph.Tensors(graph.Inputs(0)) if graph.InputsLength() == 1 else None


def _onnx(path: Path) -> list[Any] | None:
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _first_input(memoryview(mapped))
    except (OSError, ValueError):
        return None


def _first_input(data: memoryview) -> list[Any] | None:
    """Return the shape of the first input that is no constant; the numbers are onnx.proto's."""
    for graph in inside(data, 7):
        constants = {bytes(name) for held in inside(graph, 5) for name in inside(held, 8)}
        for value in inside(graph, 11):
            if not any(bytes(name) in constants for name in inside(value, 1)):
                tensors = (tensor for kind in inside(value, 2) for tensor in inside(kind, 1))
                shapes = (held for tensor in tensors for held in inside(tensor, 2))
                dims = (dim for held in shapes for dim in inside(held, 1))
                return [next(numbers(dim, 1), None) for dim in dims]
    return None
