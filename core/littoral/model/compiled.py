"""What edgetpu_compiler put into a file: read back from the operator that holds it.

``edgetpu-custom-op`` bears a FlexBuffer map; under "4" lies a package (a FlatBuffer that says
DWN1), in it the executables: libedgetpu's executable.fbs has their fields, of which the few that
somebody wants to know are read here. Nothing is loaded into anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from littoral.errors import MalformedError
from littoral.model.flatbuffer import DAMAGED, Table, cut, unpack

OPERATOR: Final = "edgetpu-custom-op"
_PACKAGE: Final = b"4"
_MARK: Final = b"DWN1"
# Fields of Package and of Executable, by their place in the schema.
_MIN_RUNTIME, _EXECUTABLES, _COMPILER = 0, 1, 4
_PARAMETERS, _CHIP, _TYPE, _TOKEN = 6, 10, 13, 14
# Of TFLite's Model, OperatorCode, SubGraph and Operator.
_CODES, _SUBGRAPHS, _CUSTOM_CODE, _OPERATORS, _OPCODE, _OPTIONS = 1, 2, 1, 3, 0, 5
_LEAST_BYTES: Final = 8  # of an operator
_CACHED: Final = 1  # the executable that fills the cache; the others stream what they need
_MAP, _STRING, _BLOB = 9, 5, 25  # a FlexBuffer's types


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One part of a graph as an Edge TPU takes it."""

    min_runtime_version: int
    compiler: str
    chip: str
    cached_bytes: int  # parameters that stay on the chip while the token is the same
    streamed_bytes: int  # parameters that are sent for each inference
    token: int  # 0: nothing is cached; models that share one were compiled together


def is_compiled(model: bytes) -> bool:
    """Tell whether ``model`` has an operator that only an Edge TPU runs."""
    if OPERATOR.encode() not in model:  # which is soon said of the most
        return False
    try:
        return next(_options(model), None) is not None
    except DAMAGED:
        return False


def min_runtime_version(model: bytes) -> int:
    """Return what the packages in ``model``, a .tflite file, require; 0 where they do not say.

    Raises:
        MalformedError: It cannot be read.

    """
    try:
        found = [_package(_entry(options)) for options in _options(model) if options]
    except DAMAGED as e:
        raise MalformedError(f"{OPERATOR} cannot be read: {e}") from e
    return max((package.min_runtime_version for package in found), default=0)


def package(options: bytes) -> Package:
    """Return what the custom options of one such operator hold. Raises MalformedError."""
    try:
        data = _entry(options)
    except DAMAGED as e:
        raise MalformedError(f"{OPERATOR} holds no package: {e}") from e
    try:
        return _package(data)
    except DAMAGED as e:
        raise MalformedError(f"{OPERATOR}: the package is damaged: {e}") from e


def _package(data: bytes) -> Package:
    if data[4:8] != _MARK:
        raise MalformedError(f"{OPERATOR}: expected a package (DWN1), found {data[4:8]!r}")
    root = Table.root(data)
    held = [Table.root(one) for one in Table.root(root.blob(_EXECUTABLES)).blobs(0)]
    if not held:
        raise MalformedError(f"{OPERATOR}: the package holds no executable")
    cached = [one.length(_PARAMETERS) for one in held if one.number(_TYPE, "<h") == _CACHED]
    streamed = [one.length(_PARAMETERS) for one in held if one.number(_TYPE, "<h") != _CACHED]
    return Package(
        min_runtime_version=root.number(_MIN_RUNTIME, "<i"),
        compiler=root.blob(_COMPILER).decode(errors="replace"),
        chip=held[0].blob(_CHIP).decode(errors="replace"),
        cached_bytes=sum(cached),
        streamed_bytes=sum(streamed),
        token=next((t for one in held if (t := one.number(_TOKEN, "<Q"))), 0),
    )


def _options(model: bytes) -> Iterator[bytes]:
    """Yield the custom options of each operator that was compiled."""
    root = Table.root(model)
    ours = [code.says(_CUSTOM_CODE, OPERATOR.encode()) for code in root.tables(_CODES)]
    operators = (one for graph in root.tables(_SUBGRAPHS) for one in graph.tables(_OPERATORS))
    # A hostile file may name the same ones again and again: no more have bytes of their own.
    for operator in islice(operators, len(model) // _LEAST_BYTES):
        if ours[operator.number(_OPCODE, "<I")]:
            yield operator.blob(_OPTIONS)


def _entry(data: bytes) -> bytes:
    """Return what lies under "4" in the FlexBuffer map ``data``; a string by its type, no text."""
    kind, width = data[-2], data[-1]
    at = _back(data, len(data) - 2 - width, width)
    if kind >> 2 != _MAP:
        raise ValueError("it is no map")
    width = 1 << (kind & 3)
    count = _unsigned(data, at - width, width)
    keys, size = _back(data, at - 3 * width, width), _unsigned(data, at - 2 * width, width)
    for k in range(min(count, len(data))):
        if data[(key := _back(data, keys + k * size, size)) : key + 2] != _PACKAGE + b"\0":
            continue
        held = data[at + count * width + k]
        if held >> 2 not in {_STRING, _BLOB}:
            raise ValueError("it is of another type")
        start, wide = _back(data, at + k * width, width), 1 << (held & 3)
        return cut(data, start, _unsigned(data, start - wide, wide))
    raise ValueError("there is none")


def _back(data: bytes, at: int, width: int) -> int:
    """Return what the offset at ``at`` points back to."""
    return at - _unsigned(data, at, width)


def _unsigned(data: bytes, at: int, width: int) -> int:
    return int(unpack({1: "<B", 2: "<H", 4: "<I", 8: "<Q"}[width], data, at))
