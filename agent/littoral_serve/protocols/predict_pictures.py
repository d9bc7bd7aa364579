"""Pictures in TensorFlow Serving's JSON: files as base64 in, the task's arrays out.

{"signature_name": "image", "instances": [{"b64": "…"}]}             rows
{"signature_name": "image", "inputs": {"image_bytes": {"b64": "…"}}} columns
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from littoral.model.backends import Array
from littoral_serve.protocols import pictures
from littoral_serve.protocols.json_document import is_base64, shown
from littoral_serve.protocols.pictures import Columns
from littoral_serve.running.pictures import INPUT
from littoral_serve.running.refusals import InvalidArgumentError

Form = Literal["rows", "columns", "classes"]  # of a reply


@dataclass(frozen=True, slots=True)
class PredictPictures:
    files: Sequence[bytes]
    form: Form


def read(document: Mapping[str, Any]) -> PredictPictures:
    """Return the pictures of a predict request. Raises InvalidArgumentError."""
    if ("instances" in document) == ("inputs" in document):
        raise InvalidArgumentError("Missing 'inputs' or 'instances' key, or both are there")
    rows = "instances" in document
    items = document["instances" if rows else "inputs"]
    if not rows and isinstance(items, dict) and not is_base64(items):
        items = _named(items)
    if is_base64(items):
        items = [items]
    if not isinstance(items, list):
        raise InvalidArgumentError(f"{shown(items)} Expecting a list of pictures")
    return PredictPictures(
        [_file(item if is_base64(item) else _named(item)) for item in items],
        "rows" if rows else "columns",
    )


def write(columns: Columns, form: Form) -> bytes:
    """Return the reply: rows for rows, columns for columns; what there is one of has no name.

    Raises:
        InvalidArgumentError: Classes were asked, and the task is another.

    """
    if form == "classes":
        return orjson.dumps({"results": pictures.classes(columns)})
    rows = form == "rows"
    values = {name: _values(name, array) for name, array in columns.items()}
    reply: Any
    if len(values) == 1:
        (reply,) = values.values()
    elif rows:
        reply = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        reply = values
    # What is no number becomes null there: no picture's answer means infinity.
    return orjson.dumps({"predictions" if rows else "outputs": reply})


def _named(item: Any) -> Any:  # noqa: ANN401
    if not isinstance(item, dict) or item.keys() != {INPUT}:
        raise InvalidArgumentError(
            f'{shown(item)} Expecting {{"b64": "…"}}, or {{"{INPUT}": {{"b64": "…"}}}}'
        )
    return item[INPUT]


def _file(item: Any) -> bytes:  # noqa: ANN401
    if not is_base64(item):
        raise InvalidArgumentError(f'{shown(item)} Expecting {{"b64": "…"}}')
    try:
        return base64.b64decode(item["b64"], validate=True)
    except ValueError as e:
        raise InvalidArgumentError("Unable to base64 decode") from e


def _values(name: str, array: Array) -> list[Any]:
    if array.dtype != object:
        whole: list[Any] = array.tolist()
        return whole
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(one).decode()} for one in array]
    return [[text.decode() for text in row] for row in array]
