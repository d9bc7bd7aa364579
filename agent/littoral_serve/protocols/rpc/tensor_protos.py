"""TensorFlow's TensorProto, from arrays and into them. Pure.

Values come as bytes, or in the field of their type; there fewer than the shape has stand for the
last one repeated. They leave in the field of their type, as TensorFlow Serving sends them: its
clients read ``float_val``.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols.rpc.decoding import joined
from littoral_serve.protocols.rpc.tensorflow_messages import TENSOR
from littoral_serve.protocols.servables import DATA_TYPES
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import View

NUMBERS: Final = {number: dtype for dtype, (_, number) in DATA_TYPES.items()}
FIELDS: Final = {
    **dict.fromkeys(("int8", "uint8", "int16", "int32"), "int_val"),
    "float32": "float_val",
    "float16": "half_val",
    "int64": "int64_val",
    "bool": "bool_val",
}
_MOST_REPEATED: Final = 2 * 1024 * 1024  # elements that one value may stand for


def shape_of(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return a TensorShapeProto."""
    return {"dim": [{"size": n} for n in shape]}


def read(proto: Mapping[str, Any], view: View) -> Array:
    """Return the array that ``proto`` holds for ``view``.

    Raises:
        InvalidArgumentError: It is of another type, or holds other than its shape says.

    """
    found = NUMBERS.get(proto.get("dtype", 0))
    if found != view.dtype:
        raise InvalidArgumentError(
            f"input {view.name}: Expects it to be {_words(view.dtype)} but "
            f"{_words(found)} is provided"
        )
    shape = _shape(proto, view)
    content = proto.get("tensor_content")
    if not content:
        return _filled(_values(proto, view), shape, view)
    if len(content) != prod(shape) * np.dtype(view.dtype).itemsize:
        raise InvalidArgumentError(
            f"tensor parsing error: {view.name}: expected {_words(view.dtype)} in shape "
            f"{_listed(shape)}, found {len(content)} bytes"
        )
    flat: Array = np.frombuffer(content, np.dtype(view.dtype).newbyteorder("<"))
    if view.dtype == "bool":  # whose bytes may be anything
        flat = flat.view(np.uint8) != 0
    return flat.reshape(shape)


def _shape(proto: Mapping[str, Any], view: View) -> tuple[int, ...]:
    told = proto.get("tensor_shape", {})
    shape = tuple(dim.get("size", 0) for dim in told.get("dim", ()))
    if told.get("unknown_rank") or any(n < 0 for n in shape):
        raise InvalidArgumentError(f"tensor parsing error: {view.name}: its shape is not known")
    return shape


def _values(proto: Mapping[str, Any], view: View) -> Array:
    field = FIELDS[view.dtype]
    values = joined(proto.get(field, ()), TENSOR.fields[field].kind)
    if view.dtype == "float16":
        return values.astype(np.uint16).view(np.float16)
    made = values.astype(view.dtype, copy=False)
    if made.dtype != values.dtype and not np.array_equal(made, values):
        raise InvalidArgumentError(f"input {view.name}: a value does not fit in {view.dtype}")
    return made


def _filled(values: Array, shape: tuple[int, ...], view: View) -> Array:
    size = prod(shape)
    if len(values) == size:
        return values.reshape(shape)
    if len(values) > size or size > _MOST_REPEATED:
        raise InvalidArgumentError(
            f"tensor parsing error: {view.name}: expected the values of shape {_listed(shape)}, "
            f"found {len(values)}"
        )
    made: Array = np.zeros(size, view.dtype)
    made[: len(values)] = values
    made[len(values) :] = values[-1] if len(values) else 0
    return made.reshape(shape)


def write(array: Array) -> dict[str, Any]:
    """Return ``array`` as a TensorProto."""
    dtype = array.dtype.name
    values = array.view(np.uint16) if dtype == "float16" else array
    return {
        "dtype": DATA_TYPES[dtype][1],
        "tensor_shape": shape_of(array.shape),
        FIELDS[dtype]: np.ascontiguousarray(values).ravel(),
    }


def _words(dtype: str | None) -> str:
    return {"float32": "float", "float16": "half", None: "another type"}.get(dtype, str(dtype))


def _listed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
