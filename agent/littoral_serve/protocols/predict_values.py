"""One value of a predict request's JSON, into an array of its input's type. Knows no request.

The messages are TensorFlow Serving's, because its users know them and their programs may too.
"""

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols import nesting
from littoral_serve.protocols.json_document import is_picture, kind, shown
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import View

_NAMES: Final = {"float32": "float", "float64": "double", "float16": "half"}


def nested(value: Any, view: View) -> Array:  # noqa: ANN401
    """Return a nested list as an array of the shape that its first elements have."""
    shape = nesting.shape_of(value)
    lists = nesting.innermost(value, shape)
    if lists is None or not nesting.fit(lists, view.dtype):
        raise _first_mistake(value, shape, view)
    try:
        return nesting.joined(lists, view.dtype).reshape(shape)
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


def _first_mistake(value: Any, shape: list[int], view: View) -> InvalidArgumentError:  # noqa: ANN401
    """Return what is wrong first in ``value``, from its beginning on: something is."""
    for level, size in enumerate(shape):
        if not isinstance(value, list):
            return InvalidArgumentError(
                f"{shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        if len(value) != size:
            return InvalidArgumentError(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {size}"
            )
        value = value[nesting.good(value, partial(_fit, shape=shape[level + 1 :], view=view))]
    if isinstance(value, list):
        return InvalidArgumentError(
            f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}"
        )
    return InvalidArgumentError(
        f"{shown(value)} Type: {kind(value)} is not of expected type: {_type(view)}"
    )


def _fit(items: Sequence[Any], *, shape: list[int], view: View) -> bool:
    lists = nesting.innermost(items, (len(items), *shape))
    return lists is not None and nesting.fit(lists, view.dtype)


def _type(view: View) -> str:
    return _NAMES.get(view.dtype, view.dtype)
