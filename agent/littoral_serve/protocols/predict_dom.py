"""A predict request read the careful way: which values it brings, in rows or columns, by name.

It knows what is wrong, where, in whose words; predict_values reads each of the values.
The messages are TensorFlow Serving's, because its users know them and their programs may too.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols import nesting, predict_values
from littoral_serve.protocols.json_document import is_base64, quoted, shown, signature_name
from littoral_serve.protocols.predict_values import shape_text
from littoral_serve.running.pictures import INPUT
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature, View


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


def _find(known: Mapping[str, Signature], name: str) -> Signature:
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
    signature = _find(known, signature_name(document))
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
    return _stacked(items, signature, named=_is_object(items[0]))


def _stacked(items: list[Any], signature: Signature, *, named: bool) -> list[Array]:
    """Return the inputs of all instances; those that are like the first are read together."""
    first = _item(items[0], 0, signature, named=named)
    for view in signature.inputs:
        _check_first(first[view.name], view, count=len(items))
    parts = {view.name: [first[view.name][None]] for view in signature.inputs}
    together = partial(_together, first=first, signature=signature, named=named)
    rest = items[1:]
    read, made = len(items), together(rest)
    if made is None:
        like = nesting.good(rest, lambda some: together(some) is not None)
        read, made = 1 + like, together(rest[:like])
    for name, array in (made or {}).items():
        parts[name].append(array)
    for at in range(read, len(items)):
        one = _item(items[at], at, signature, named=named)
        for view in signature.inputs:
            _check_like(first[view.name], one[view.name], at, view)
            parts[view.name].append(one[view.name][None])
    return [np.concatenate(found) if len(found) > 1 else found[0] for found in parts.values()]


def _together(
    items: Sequence[Any], *, first: Mapping[str, Array], signature: Signature, named: bool
) -> dict[str, Array] | None:
    """Return the inputs of instances that are all like the ``first``; None if one is not."""
    if not items:
        return {}
    columns = [items] * len(signature.inputs)
    if named:
        if set(map(type, items)) != {dict} or set(map(len, items)) != {len(first)}:
            return None
        try:
            columns = [list(map(itemgetter(view.name), items)) for view in signature.inputs]
        except KeyError:
            return None
    made = {}
    for view, column in zip(signature.inputs, columns, strict=True):
        array = nesting.read(column, (len(items), *first[view.name].shape), view.dtype)
        if array is None:
            return None
        made[view.name] = array
    return made


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
                more = '; a picture goes with "signature_name": "image"' if name == INPUT else ""
                raise InvalidArgumentError(  # noqa: TRY301
                    f"JSON object: does not have named input: {name}{more}"
                )
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
        return predict_values.unpacked(
            value, view, shape=(-1, *view.instance) if view.spec.shape else ()
        )
    if isinstance(value, list) and len(value) > 1:
        _check_first(predict_values.nested(value[:1], view)[0], view, count=len(value))
    return predict_values.nested(value, view)


def _check_first(one: Array, view: View, *, count: int) -> None:
    """Refuse by the first of ``count`` elements, and at once, what all of them would be."""
    if view.spec.shape and one.shape != view.instance:
        want, got = (shape_text((count, *shape)) for shape in (view.instance, one.shape))
        raise InvalidArgumentError(f"input {view.name}: Expecting shape {want} but got: {got}")


def _instance(value: Any, view: View) -> Array:  # noqa: ANN401
    if is_base64(value):
        return predict_values.unpacked(value, view, shape=view.instance)
    return predict_values.nested(value, view)


def _check_like(first: Array, item: Array, at: int, view: View) -> None:
    """Refuse the element ``at`` if its shape is not that of the first."""
    if item.shape != first.shape:
        what, want, got = (
            ("tensor size:", first.size, item.size)
            if item.size != first.size
            else ("shape", shape_text(first.shape), shape_text(item.shape))
        )
        raise InvalidArgumentError(
            f"Failed to process element: {at} key: {view.name} of 'instances' list. "
            f"Error: INVALID_ARGUMENT: Expecting {what} {want} but got: {got}"
        )


def _is_object(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and not is_base64(value)
