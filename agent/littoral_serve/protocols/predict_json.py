"""JSON of TensorFlow Serving's predict call, into arrays and back. Errors bear its words.

The usual request, one input as a nested list, is read without making the nested lists: its
brackets and commas are compared with those that the shape demands, and what is left is one
flat list of numbers. Anything else takes the slow way, which knows what is wrong and where.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson

from littoral.model.backends import Array
from littoral_serve.protocols import predict_dom
from littoral_serve.running.signatures import DEFAULT, Signature, View

_START: Final = re.compile(
    rb'\s*\{\s*(?:"signature_name"\s*:\s*"([\w.-]*)"\s*,\s*)?"(instances|inputs)"\s*:\s*(?=\[)'
)
_NUMBER: Final = b"0123456789-+.eE \t\r\n"
_SPACES: Final = bytes.maketrans(b"[]", b"  ")  # not nothing: [1]2 must not become 12
_CODES: Final = {"float32": "f", "int8": "b", "int16": "h", "int32": "i", "int64": "q"}
_PIECE_BYTES: Final = 64 * 1024


class Call:
    """A predict request: batched arrays in the order of the signature's inputs."""

    __slots__ = ("arrays", "rows", "signature")

    def __init__(self, signature: Signature, arrays: list[Array], *, rows: bool) -> None:
        self.signature, self.arrays, self.rows = signature, arrays, rows


def read(body: bytes, known: Mapping[str, Signature]) -> Call:
    """Return what ``body`` asks of a model with the signatures ``known``.

    Raises:
        InvalidArgumentError: It cannot be understood, or does not fit the signature.

    """
    call = _fast(body, known)
    if call is None:
        signature, arrays, rows = predict_dom.read(body, known)
        call = Call(signature, arrays, rows=rows)
    return call


def write(call: Call, outputs: list[Array]) -> bytes:
    """Return the reply: rows for rows, columns for columns."""
    views = call.signature.outputs
    outputs = [o.astype(np.float32) if o.dtype == np.float16 else o for o in outputs]
    shown: Any
    if len(views) == 1:
        shown = outputs[0]
    elif call.rows:
        names = [view.name for view in views]
        shown = [dict(zip(names, row, strict=True)) for row in zip(*outputs, strict=True)]
    else:
        shown = {view.name: output for view, output in zip(views, outputs, strict=True)}
    reply = {"predictions" if call.rows else "outputs": shown}
    if _all_finite(views, outputs):
        return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(reply, default=_listed).encode()  # writes NaN and Infinity


def _fast(body: bytes, known: Mapping[str, Signature]) -> Call | None:
    start = _START.match(body)
    end = body.rfind(b"]") + 1
    if start is None or body[end:].strip() != b"}":
        return None
    signature = known.get((start[1] or b"").decode() or DEFAULT)
    if signature is None or len(signature.inputs) != 1:
        return None
    (view,) = signature.inputs
    array = _flat(body[start.end() : end], view)
    return None if array is None else Call(signature, [array], rows=start[2] == b"instances")


def _flat(text: bytes, view: View) -> Array | None:
    if view.dtype not in _CODES and view.dtype != "uint8":
        return None
    found = text.translate(None, _NUMBER)
    one, size = _skeleton(view.instance)
    count, rest = divmod(len(found) - 1, len(one) + 1)
    if rest or count < 1 or found != (b"[%s]" % b",".join([one] * count)):
        return None
    try:
        data = b"".join(_packed(text.translate(_SPACES), _CODES.get(view.dtype)))
    except (ValueError, TypeError, OverflowError, struct.error):
        return None
    flat = np.frombuffer(data, view.dtype)
    return flat.reshape(count, *view.instance) if len(flat) == count * size else None


def _packed(text: bytes, code: str | None) -> Iterator[bytes]:
    """Return the numbers between commas, a piece at a time: each has 32 bytes while it is Python's.

    Without a ``code`` of struct they are bytes.
    """
    at = 0
    while at <= len(text):
        comma = text.find(b",", at + _PIECE_BYTES)
        end = len(text) if comma < 0 else comma
        numbers = orjson.loads(b"[%s]" % text[at:end])
        yield struct.pack(f"={len(numbers)}{code}", *numbers) if code else bytes(numbers)
        at = end + 1


@lru_cache(maxsize=256)
def _skeleton(shape: tuple[int, ...]) -> tuple[bytes, int]:
    """Return the brackets and commas of one instance, and how many numbers it has."""
    text, size = b"", 1
    for n in reversed(shape):
        text, size = b"[%s]" % b",".join([text] * n), size * n
    return text, size


def _listed(value: Any) -> Any:  # noqa: ANN401
    return value.tolist()


def _all_finite(views: tuple[View, ...], outputs: list[Array]) -> bool:
    return all(
        view.spec.dtype not in ("float32", "float16") or bool(np.isfinite(output).all())
        for view, output in zip(views, outputs, strict=True)
    )
