"""The values of tensors in the Open Inference Protocol's JSON: flat lists, or nested ones.

A list of numbers is cut out of the document before that is read, and becomes an array without
becoming Python's; the number of the cut takes its place. What cannot be cut is read with the
document, and what cannot be read quickly is read carefully.
"""

import json
import re
from collections.abc import Sequence
from math import prod
from typing import Any, Final

import orjson

from littoral.model.backends import Array
from littoral.wire.datatypes import DATATYPES
from littoral_serve.protocols import nesting, numbers
from littoral_serve.protocols.json_document import hint
from littoral_serve.running.refusals import InvalidArgumentError

_DATA: Final = re.compile(rb'"data"\s*:\s*(?=\[)')


def cut(text: bytes, *, most: int) -> tuple[bytes, list[bytes]]:
    """Return ``text`` with numbers in the place of at most so many lists, and those lists."""
    kept: list[bytes] = []
    found: list[bytes] = []
    done = at = 0
    for _ in range(most):
        start = _DATA.search(text, at)
        if start is None:
            break
        at = start.end()
        # Numbers have neither quotes nor braces: their list ends before the first of those.
        ends = [end for end in (text.find(b'"', at), text.find(b"}", at)) if end >= 0]
        end = text.rfind(b"]", at, min(ends, default=0)) + 1
        if end:
            kept += (text[done:at], b"%d" % len(found))
            found.append(text[at:end])
            done = at = end
    return b"".join((*kept, text[done:])), found


def document(text: bytes) -> dict[str, Any]:
    """Return the object ``text``. Raises InvalidArgumentError."""
    found: Any
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = _loads(text)  # it may hold NaN or Infinity
        _check_text(found)
    if not isinstance(found, dict):
        raise InvalidArgumentError("failed to parse the request JSON buffer: expected an object")
    return found


def _check_text(value: Any) -> None:  # noqa: ANN401
    """Do nothing if all text is whole: half a character can be said in JSON, and not sent back."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError as e:
        raise InvalidArgumentError(f"failed to parse the request JSON buffer: {e}") from e


def from_text(text: bytes, shape: tuple[int, ...], dtype: str, *, name: str) -> Array:
    """Return the list ``text`` as an array. Raises InvalidArgumentError."""
    nested = text.find(b"[", 1) > 0
    array = numbers.read(text, shape[1:] if nested else (), dtype)
    if array is None:
        return from_value(_parsed(text), shape, dtype, name=name)
    _check_count(array.size, shape, name)
    return array.reshape(shape)


def from_value(value: Any, shape: tuple[int, ...], dtype: str, *, name: str) -> Array:  # noqa: ANN401
    """Return a list that was read, flat or nested, as an array. Raises InvalidArgumentError."""
    if not isinstance(value, list):
        raise InvalidArgumentError(f"Unable to parse 'data' of input '{name}': expected a list")
    try:
        lists = _innermost(value)
    except RecursionError as e:
        raise InvalidArgumentError(f"'data' of input '{name}' is too deeply nested") from e
    _check_count(sum(map(len, lists)), shape, name)
    if not nesting.fit(lists, dtype):
        raise _unlike(dtype, name)
    try:
        return nesting.joined(lists, dtype).reshape(shape)
    except OverflowError as e:
        raise _unlike(dtype, name) from e


def _parsed(text: bytes) -> Any:  # noqa: ANN401
    """Return the list ``text``. Python's decoder, which knows NaN, takes five times as long."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _loads(text)


def _loads(text: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except UnicodeDecodeError as e:
        raise InvalidArgumentError(
            f"failed to parse the request JSON buffer: it is no text{hint(text)}"
        ) from e
    except (ValueError, RecursionError) as e:
        raise InvalidArgumentError(f"failed to parse the request JSON buffer: {e}") from e


def _innermost(value: list[Any]) -> list[list[Any]]:
    """Return lists of no lists that hold the elements of ``value`` in their order."""
    lists = [value]
    while list in (found := nesting.kinds(lists)):
        if len(found) > 1:
            leaves: list[Any] = []
            _flatten(lists, leaves)
            return [leaves]
        lists = [one for level in lists for one in level]
    return lists


def _flatten(value: list[Any], leaves: list[Any]) -> None:
    for inner in value:
        if isinstance(inner, list):
            _flatten(inner, leaves)
        else:
            leaves.append(inner)


def _check_count(found: int, shape: Sequence[int], name: str) -> None:
    if found != prod(shape):
        raise InvalidArgumentError(
            f"unexpected number of elements for input '{name}': expected {prod(shape)} for shape "
            f"[{','.join(map(str, shape))}], got {found}"
        )


def _unlike(dtype: str, name: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"Unable to parse 'data' of input '{name}': a value is not of {DATATYPES[dtype]}"
    )
