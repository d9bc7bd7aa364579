"""JSON of TensorFlow Serving's predict call, into arrays and back. Errors bear its words.

The usual request, one input as a nested list, is read without making the nested lists.
Anything else takes the slow way, which knows what is wrong and where.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from littoral.model.backends import Array
from littoral_serve.protocols import json_document, numbers, predict_dom
from littoral_serve.running.pictures import SIGNATURE
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import DEFAULT, Signature, View

if TYPE_CHECKING:
    from littoral_serve.protocols.predict_pictures import PredictPictures

QUICK: Final = 2 * 2**20  # bytes of a body that even the quick way keeps others waiting for

_START: Final = re.compile(
    rb'\s*\{\s*(?:"signature_name"\s*:\s*"([\w.-]*)"\s*,\s*)?"(instances|inputs)"\s*:\s*(?=\[)'
)


class PredictTensors:
    """Tensors of a predict request: batched arrays in the order of the signature's inputs."""

    __slots__ = ("arrays", "rows", "signature")

    def __init__(self, signature: Signature, arrays: list[Array], *, rows: bool) -> None:
        self.signature, self.arrays, self.rows = signature, arrays, rows


def fast(body: bytes, known: Mapping[str, Signature]) -> PredictTensors | None:
    """Return what ``body`` asks if it is the usual request; None: only the slow way tells."""
    start = _START.match(body)
    end = body.rfind(b"]") + 1
    if start is None or body[end:].strip() != b"}":
        return None
    signature = known.get((start[1] or b"").decode() or DEFAULT)
    if signature is None or len(signature.inputs) != 1:
        return None
    (view,) = signature.inputs
    array = numbers.read(body[start.end() : end], view.instance, view.dtype)
    return (
        None if array is None else PredictTensors(signature, [array], rows=start[2] == b"instances")
    )


def read(body: bytes, known: Mapping[str, Signature]) -> "PredictTensors | PredictPictures":
    """Return what ``body`` asks, by whichever way. Raises InvalidArgumentError, as ``slow``."""
    return fast(body, known) or slow(body, known)


def slow(body: bytes, known: Mapping[str, Signature]) -> "PredictTensors | PredictPictures":
    """Return what ``body`` asks of a model with the signatures ``known``: tensors, or pictures.

    ``fast`` was asked before.

    Raises:
        InvalidArgumentError: It cannot be understood, or does not fit the signature.

    """
    document = json_document.parse(body)
    if json_document.signature_name(document) == SIGNATURE:
        from littoral_serve.protocols import predict_pictures  # most models are sent none

        return predict_pictures.read(document)
    signature, arrays, rows = predict_dom.read(document, known)
    return PredictTensors(signature, arrays, rows=rows)


def write(asked: PredictTensors, outputs: list[Array]) -> bytes:
    """Return the reply: rows for rows, columns for columns."""
    views = asked.signature.outputs
    outputs = [o.astype(np.float32) if o.dtype == np.float16 else o for o in outputs]
    shown: Any
    if len(views) == 1:
        shown = outputs[0]
    elif asked.rows:
        names = [view.name for view in views]
        shown = [dict(zip(names, row, strict=True)) for row in zip(*outputs, strict=True)]
    else:
        shown = {view.name: output for view, output in zip(views, outputs, strict=True)}
    reply = {"predictions" if asked.rows else "outputs": shown}
    if _all_finite(views, outputs):
        return orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(reply, default=_listed).encode()  # writes NaN and Infinity


def check_rows(outputs: list[Array], views: tuple[View, ...]) -> None:
    """Raise InvalidArgumentError where outputs have no rows, or not as many each."""
    size = None
    for output, view in zip(outputs, views, strict=True):
        if not output.ndim:
            raise InvalidArgumentError(f"Tensor name: {view.name} has no shape information ")
        if size not in (None, len(output)):
            raise InvalidArgumentError(
                f"Tensor name: {view.name} has inconsistent batch size: {len(output)} "
                f"expecting: {size}"
            )
        size = len(output)


def _listed(value: Any) -> Any:  # noqa: ANN401
    return value.tolist()


def _all_finite(views: tuple[View, ...], outputs: list[Array]) -> bool:
    return all(
        view.spec.dtype not in ("float32", "float16") or bool(np.isfinite(output).all())
        for view, output in zip(views, outputs, strict=True)
    )
