"""One value of a predict request's JSON, into an array of its input's type. Knows no request.

The messages are TensorFlow Serving's, because its users know them and their programs may too.
"""

import base64
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols.json_document import is_picture, kind, shown
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import View

_NAMES: Final = {"float32": "float", "float64": "double", "float16": "half"}


def nested(value: Any, view: View) -> Array:  # noqa: ANN401
    """Return a nested list as an array of the shape that its first elements have."""
    shape = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    leaves: list[Any] = []
    _flatten(value, 0, shape, view, leaves)
    with np.errstate(over="ignore"):
        try:
            return np.array(leaves, view.dtype).reshape(shape)
        except OverflowError as e:
            raise InvalidArgumentError(f"a number does not fit in {_type(view)}") from e
        except ValueError as e:  # more dimensions than an array can have
            raise InvalidArgumentError(f"lists are nested {len(shape)} deep") from e


def unpacked(value: dict[str, str], view: View, *, shape: tuple[int, ...]) -> Array:
    """Return the little-endian elements in a base64 object: our own addition to the protocol."""
    try:
        data = base64.b64decode(value["b64"], validate=True)
    except ValueError as e:
        raise InvalidArgumentError("Unable to base64 decode") from e
    try:
        return np.frombuffer(data, np.dtype(view.dtype).newbyteorder("<")).reshape(shape)
    except ValueError as e:
        more = '; a picture goes with "signature_name": "image"' if is_picture(data) else ""
        raise InvalidArgumentError(
            f"base64 data: expected elements of {_type(view)} in shape {shape_text(shape)}, "
            f"found {len(data)} bytes{more}"
        ) from e


def shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _flatten(value: Any, level: int, shape: list[int], view: View, leaves: list[Any]) -> None:  # noqa: ANN401
    if not isinstance(value, list):
        if level != len(shape):
            raise InvalidArgumentError(
                f"{shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        if not _fits(value, view.dtype):
            raise InvalidArgumentError(
                f"{shown(value)} Type: {kind(value)} is not of expected type: {_type(view)}"
            )
        leaves.append(value)
        return
    if level >= len(shape):
        raise InvalidArgumentError(
            f"Encountered list at unexpected level: {level} expected < {len(shape)}"
        )
    if len(value) != shape[level]:
        raise InvalidArgumentError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    for inner in value:
        _flatten(inner, level + 1, shape, view, leaves)


def _fits(value: Any, dtype: str) -> bool:  # noqa: ANN401
    if dtype == "bool":
        return isinstance(value, bool)
    if dtype.startswith("float"):
        return type(value) in (int, float)
    limits = np.iinfo(dtype)
    return type(value) is int and bool(limits.min <= value <= limits.max)


def _type(view: View) -> str:
    return _NAMES.get(view.dtype, view.dtype)
