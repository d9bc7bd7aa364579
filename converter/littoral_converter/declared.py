"""The shape of a model's input, where its file says it in words that need no framework.

Pictures are resized to it before anything reads the model. None is no error: then people say it.
"""

import json
import mmap
import struct
import zipfile
from pathlib import Path
from typing import Any, Final

from littoral_converter.samples.example import inside, numbers
from littoral_converter.source import Kind, Source

_MAX_CONFIG: Final = 64 * 2**20
Shape = tuple[int, ...]


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
    from ai_edge_litert import schema_py_generated as schema

    try:
        graph = schema.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0)
        if graph.InputsLength() != 1:
            return None
        tensor = graph.Tensors(graph.Inputs(0))
        return [int(tensor.Shape(k)) for k in range(tensor.ShapeLength())]
    except (OSError, struct.error, IndexError, TypeError, ValueError, AttributeError):
        return None


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
