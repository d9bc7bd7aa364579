"""A predict request read the careful way: it knows what is wrong, where, in whose words.

The messages are TensorFlow Serving's, because its users know them and their programs may too.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols.json_document import (
    is_base64,
    is_picture,
    kind,
    quoted,
    shown,
    signature_name,
)
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature, View

_NAMES: Final = {"float32": "float", "float64": "double", "float16": "half"}


def read(
    document: dict[str, Any], known: Mapping[str, Signature]
) -> tuple[Signature, list[Array], bool]:
    """Return the signature, its batched inputs, and whether they came as rows.

    Raises:
        InvalidArgumentError: It cannot be understood, or does not fit the signature.

    """
    try:
        return _read(document, known)
    except RecursionError as e:
        raise InvalidArgumentError("JSON Parse error: too deeply nested") from e


def find(known: Mapping[str, Signature], name: str) -> Signature:
    """Return the signature ``name``, the default one where it is empty."""
    try:
        return known[name or DEFAULT]
    except KeyError:
        raise InvalidArgumentError(
            f'Serving signature name: "{name}" not found in signature def'
        ) from None


def _read(
    document: dict[str, Any], known: Mapping[str, Signature]
) -> tuple[Signature, list[Array], bool]:
    signature = find(known, signature_name(document))
    if "instances" in document:
        return signature, _rows(document, signature), True
    if "inputs" in document:
        return signature, _columns(document["inputs"], signature), False
    raise InvalidArgumentError("Missing 'inputs' or 'instances' key")


def _rows(document: dict[str, Any], signature: Signature) -> list[Array]:
    items = document["instances"]
    if "inputs" in document:
        raise InvalidArgumentError(
            f"{shown(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if not isinstance(items, list):
        raise InvalidArgumentError(f"{shown(document)} Expecting 'instances' to be an list/array")
    if not items:
        raise InvalidArgumentError(f"{shown(document)} No values in 'instances' array")
    if not isinstance(items[0], dict) and len(signature.inputs) > 1:
        raise InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    named = _is_object(items[0])
    found: dict[str, list[Array]] = {}
    for at, item in enumerate(items):
        for name, value in _item(item, at, signature, named=named).items():
            found.setdefault(name, []).append(value)
        if at == 0:
            for view in signature.inputs:
                _check_first(found[view.name][0], view, count=len(items))
    return [_stack(found[view.name], view) for view in signature.inputs]


def _item(item: Any, at: int, signature: Signature, *, named: bool) -> dict[str, Array]:  # noqa: ANN401
    """Return one instance's tensors by the name of the input."""
    if not named:
        if _is_object(item):
            raise InvalidArgumentError(
                f"Expecting value/list but got object at item {at} of input list"
            )
        (view,) = signature.inputs
        try:
            return {view.name: _instance(item, view)}
        except InvalidArgumentError as e:
            raise InvalidArgumentError(
                f"Failed to process element: {at} of 'instances' list. Error: INVALID_ARGUMENT: {e}"
            ) from e
    if not _is_object(item):
        raise InvalidArgumentError(f"Expecting object but got list at item {at} of input list")
    views = {view.name: view for view in signature.inputs}
    made = {}
    for name, value in item.items():
        try:
            if name not in views:
                raise InvalidArgumentError(f"JSON object: does not have named input: {name}")  # noqa: TRY301
            made[name] = _instance(value, views[name])
        except InvalidArgumentError as e:
            raise InvalidArgumentError(
                f"Failed to process element: {at} key: {name} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: {e}"
            ) from e
    if made.keys() != views.keys():
        raise InvalidArgumentError(
            f"Failed to process element: {at} of 'instances' list. "
            f"JSON object: {quoted(item)} keys must be equal to: {','.join(sorted(views))}"
        )
    return made


def _columns(value: Any, signature: Signature) -> list[Array]:  # noqa: ANN401
    if not _is_object(value):
        if len(signature.inputs) > 1:
            raise InvalidArgumentError(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        return [_column(value, signature.inputs[0])]
    missing = [view.name for view in signature.inputs if view.name not in value]
    if missing:
        raise InvalidArgumentError(f"Missing named input: {missing[0]} in 'inputs' object.")
    return [_column(value[view.name], view) for view in signature.inputs]


def _column(value: Any, view: View) -> Array:  # noqa: ANN401
    if is_base64(value):
        return _bytes(value, view, shape=(-1, *view.instance) if view.spec.shape else ())
    if isinstance(value, list) and len(value) > 1:
        _check_first(_dense(value[:1], view)[0], view, count=len(value))
    return _dense(value, view)


def _check_first(one: Array, view: View, *, count: int) -> None:
    """Refuse by the first of ``count`` elements, and at once, what all of them would be."""
    if view.spec.shape and one.shape != view.instance:
        want, got = (_shape((count, *shape)) for shape in (view.instance, one.shape))
        raise InvalidArgumentError(f"input {view.name}: Expecting shape {want} but got: {got}")


def _instance(value: Any, view: View) -> Array:  # noqa: ANN401
    return _bytes(value, view, shape=view.instance) if is_base64(value) else _dense(value, view)


def _stack(items: list[Array], view: View) -> Array:
    first = items[0]
    for at, item in enumerate(items):
        if item.size != first.size or item.shape != first.shape:
            what, want, got = (
                ("tensor size:", first.size, item.size)
                if item.size != first.size
                else ("shape", _shape(first.shape), _shape(item.shape))
            )
            raise InvalidArgumentError(
                f"Failed to process element: {at} key: {view.name} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: Expecting {what} {want} but got: {got}"
            )
    return np.stack(items)


def _dense(value: Any, view: View) -> Array:  # noqa: ANN401
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


def _bytes(value: dict[str, str], view: View, *, shape: tuple[int, ...]) -> Array:
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
            f"base64 data: expected elements of {_type(view)} in shape {_shape(shape)}, "
            f"found {len(data)} bytes{more}"
        ) from e


def _is_object(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and not is_base64(value)


def _type(view: View) -> str:
    return _NAMES.get(view.dtype, view.dtype)


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
