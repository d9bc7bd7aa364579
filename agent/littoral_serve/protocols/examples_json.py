"""Examples in JSON, as TensorFlow Serving's classify and regress calls bring and answer them."""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import orjson

from littoral.model.backends import Array
from littoral_serve.protocols import examples, json_document, pictures
from littoral_serve.protocols.examples import CLASSIFY, Classes, Example, Feature, Task
from littoral_serve.protocols.json_document import shown
from littoral_serve.running.live import Live
from littoral_serve.running.refusals import InvalidArgumentError

_LIMITS: Final = np.iinfo(np.int64)
_Kind = Literal["bytes", "float", "int64"]


@dataclass(frozen=True, slots=True)
class Examples:
    signature: str  # empty: the default one
    examples: list[Example]
    context: Example  # what all examples have


class ExampleTensors(NamedTuple):
    """Tensors of a classify or regress request: an input each, a row for each example."""

    task: Task
    arrays: list[Array]


Asked = ExampleTensors | list[bytes]


def asked(body: bytes, live: Live, method: str) -> Asked:
    """Return what ``body`` asks of ``live``: by its examples' numbers, or by their pictures' files.

    Raises:
        InvalidArgumentError: It cannot be understood, or does not fit the model.

    """
    found = read(body)
    files = pictures.encoded(found.examples)
    if files is not None and method == CLASSIFY:
        return files
    task = examples.task(live, method, found.signature)
    return ExampleTensors(task, examples.arrays(task.signature, found.examples, found.context))


def read(body: bytes) -> Examples:
    """Return what ``body`` brings.

    Raises:
        InvalidArgumentError: It cannot be understood.

    """
    document = json_document.parse(body)
    try:
        return _read(document)
    except RecursionError as e:
        raise InvalidArgumentError("JSON Parse error: too deeply nested") from e


def _read(document: dict[str, Any]) -> Examples:
    name = json_document.signature_name(document)
    context = _example(document["context"]) if "context" in document else {}
    if "examples" not in document:
        raise InvalidArgumentError(
            f"{shown(document)} When method is classify, key 'examples' is expected "
            "and was not found"
        )
    listed = document["examples"]
    if not isinstance(listed, list):
        raise InvalidArgumentError(
            f"{shown(document)} Expecting 'examples' value to be an list/array"
        )
    if not listed:
        raise InvalidArgumentError(f"{shown(document)} 'examples' value is an empty array")
    return Examples(name, [_example(one) for one in listed], context)


def _example(value: Any) -> Example:  # noqa: ANN401
    if not isinstance(value, dict):
        raise InvalidArgumentError(
            f"Example must be JSON object but got JSON {json_document.kind(value)}"
        )
    return {name: _feature(name, content) for name, content in value.items()}


def _feature(name: str, content: Any) -> Feature:  # noqa: ANN401
    items = content if isinstance(content, list) else [content]
    kinds = {_kind(name, item) for item in items}
    if "bytes" in kinds:
        if len(kinds) > 1:
            raise InvalidArgumentError(
                f"Unexpected element type in feature: {name} expecting type: bytes"
            )
        return Feature("bytes", [_bytes(item) for item in items])
    if "float" in kinds:
        return Feature("float", _floats(items))
    return Feature("int64", np.array(items, np.int64))


def _kind(name: str, item: Any) -> _Kind:  # noqa: ANN401
    if isinstance(item, str) or json_document.is_base64(item):
        return "bytes"
    if isinstance(item, float):
        return "float"
    if not isinstance(item, int):
        raise InvalidArgumentError(
            f"Feature: {name} has element with unexpected JSON type: {json_document.kind(item)}"
        )
    if not _LIMITS.min <= item <= _LIMITS.max:
        raise InvalidArgumentError(
            f"Feature: {name} has uint64_t element. Only int64_t is supported."
        )
    return "int64"


def _floats(items: list[float]) -> Array:
    with np.errstate(over="ignore"):
        return np.array(items, np.float64).astype(np.float32)


def _bytes(item: str | dict[str, str]) -> bytes:
    if isinstance(item, str):
        return item.encode(errors="replace")
    try:
        return base64.b64decode(item["b64"], validate=True)
    except ValueError as e:
        raise InvalidArgumentError("Unable to base64 decode") from e


def write(results: list[Classes] | Array) -> bytes:
    """Return the reply: the classes or the value of each example."""
    finite = (
        bool(np.isfinite(results).all())
        if isinstance(results, np.ndarray)
        else all(np.isfinite(score) for classes in results for _, score in classes)
    )
    reply = {"results": results}
    if finite:
        return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(reply, default=_plain).encode()  # writes NaN and Infinity


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.tolist()
