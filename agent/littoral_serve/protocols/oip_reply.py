"""What a release answered, as the Open Inference Protocol sends it: JSON, binary, or labels."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import numpy as np
import orjson

from littoral.model.backends import Array
from littoral.wire import elements
from littoral_serve.http.messages import Response
from littoral_serve.protocols import oip_types
from littoral_serve.protocols.oip_plan import Face, InferPlan, Wanted
from littoral_serve.protocols.oip_request import InferTensors

_BINARY: Final = b"application/octet-stream"
_LENGTH: Final = b"Inference-Header-Content-Length: %d\r\n"


def write(face: Face, asked: InferTensors, outputs: Sequence[Array]) -> Response:
    """Return the reply; ``outputs`` are all of the signature's, as clients see them."""
    plan = asked.plan
    if not plan.whole:
        return _mixed(face, asked, outputs)
    arrays: list[Any] = [outputs[wanted.at] for wanted in plan.wanted]
    if plan.reply is None:
        items = [
            _item(plan, wanted, array.shape, array.nbytes)
            for wanted, array in zip(plan.wanted, arrays, strict=True)
        ]
        told = orjson.dumps(_head(face, items))
        plan.reply = told, _LENGTH % len(told)
    head, length = plan.reply
    if asked.id is not None:
        head = b'{"id":%s,%s' % (orjson.dumps(asked.id), head[1:])
        length = _LENGTH % len(head)
    return Response(HTTPStatus.OK, b"".join((head, *arrays)), _BINARY, length)


def sent(head: bytes, parts: Sequence[Any]) -> Response:
    """Return a reply of ``head``, which is JSON, and ``parts``, which are binary, if there are."""
    if not parts:
        return Response(HTTPStatus.OK, head)
    return Response(HTTPStatus.OK, b"".join((head, *parts)), _BINARY, _LENGTH % len(head))


def classes(array: Array, most: int, labels: Sequence[str]) -> list[bytes]:
    """Return the greatest values, at most so many, each as ``value:index:label``."""
    flat = array.ravel()
    # As they are, they cannot all be negated: -128 is no int8.
    order = np.argsort(-flat.astype(np.float64), kind="stable")[:most]
    form = "{:f}:{}" if flat.dtype.kind == "f" else "{}:{}"
    texts = []
    for at in order.tolist():
        text = form.format(flat[at], at)
        label = labels[at] if at < len(labels) else ""
        texts.append((f"{text}:{label}" if label else text).encode())
    return texts


def _mixed(face: Face, asked: InferTensors, outputs: Sequence[Array]) -> Response:
    """Return a reply of which not all is binary."""
    items: list[dict[str, Any]] = []
    parts: list[Any] = []
    finite = True
    for wanted in asked.plan.wanted:
        array = outputs[wanted.at]
        data: Any
        if wanted.classes:
            item, data = labelled(face, asked.plan, wanted, array)
        else:
            item, data = _item(asked.plan, wanted, array.shape, array.nbytes), array
        items.append(item)
        if wanted.binary:
            parts.append(data)
        elif wanted.classes:
            item["data"] = data
        else:
            item["data"] = array.ravel()
            finite = finite and (array.dtype.kind != "f" or bool(np.isfinite(array).all()))
    document = _head(face, items)
    if asked.id is not None:
        document = {"id": asked.id, **document}
    if finite:
        head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    else:
        head = json.dumps(document, default=_listed).encode()  # writes NaN and Infinity
    return sent(head, parts)


def labelled(
    face: Face, plan: InferPlan, wanted: Wanted, array: Array
) -> tuple[dict[str, Any], bytes | list[str]]:
    """Return the item of an output that is wanted as classes, and its values."""
    rows = array if face.batch is not None else [array]
    found = [classes(row, wanted.classes, face.labels) for row in rows]
    shape = [len(found[0])] if face.batch is None else [len(found), len(found[0])]
    texts = [text for row in found for text in row]
    packed = elements.pack(texts)
    item = _item(plan, wanted, shape, len(packed)) | {"datatype": oip_types.BYTES}
    return item, packed if wanted.binary else [text.decode() for text in texts]


def _head(face: Face, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model_name": face.model, "model_version": str(face.release), "outputs": items}


def _item(plan: InferPlan, wanted: Wanted, shape: Sequence[int], nbytes: int) -> dict[str, Any]:
    view = plan.signature.outputs[wanted.at]
    item = {"name": view.name, "datatype": oip_types.datatype(view), "shape": list(shape)}
    return item | {"parameters": {"binary_data_size": nbytes}} if wanted.binary else item


def _listed(value: Any) -> Any:  # noqa: ANN401
    return value.tolist()
