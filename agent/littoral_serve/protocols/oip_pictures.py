"""Pictures in the Open Inference Protocol: an input of datatype BYTES, each element a file.

In JSON a file is base64; behind the head it is length and bytes, as there. The outputs are the
task's: docs/tasks.md. A model's tensors are never BYTES, so the datatype decides.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from littoral.model.backends import Array
from littoral.wire import elements
from littoral.wire.datatypes import DATATYPES
from littoral_serve.http.messages import Response
from littoral_serve.protocols import oip_data, oip_reply, oip_request, oip_types, pictures
from littoral_serve.protocols import oip_fields as fields
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.protocols.pictures import Columns
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.sights import Wish


@dataclass(frozen=True, slots=True)
class InferPictures:
    """Pictures of an infer request; ``wanted``: by name, whether in binary."""

    files: list[bytes]
    wish: Wish
    wanted: Mapping[str, bool] | None  # None: all
    binary: bool
    id: str | None
    timeout_ns: int | None


def read(body: bytes, head_bytes: bytes | None) -> InferPictures | None:
    """Return what ``body`` asks of pictures; None where its inputs are tensors.

    Raises:
        InvalidArgumentError: It is about pictures, and cannot be understood.

    """
    length = len(body)
    if head_bytes is not None:
        length = oip_request.head_length(head_bytes, length)
    head = body[:length]
    if oip_request.ELEMENTS not in head:
        return None
    document = oip_data.document(head)
    inputs = fields.objects(document, "inputs")
    if oip_types.BYTES not in [one.get("datatype") for one in inputs]:
        return None
    return from_head(document, list(_files(inputs[0], body[length:])))


def from_head(document: Mapping[str, Any], files: list[bytes]) -> InferPictures:
    """Return what a head asks, whose one input is ``files``. Raises InvalidArgumentError."""
    inputs = document["inputs"]
    if len(inputs) != 1:
        raise InvalidArgumentError("pictures come as one input of datatype BYTES")
    if inputs[0].get("shape") not in ([len(files)], [len(files), 1]):
        raise InvalidArgumentError(
            f"unexpected shape for pictures: expected [{len(files)}], as many as there are"
        )
    parameters = fields.parameters(document)
    binary = fields.flag(parameters, "binary_data_output")
    return InferPictures(
        files,
        pictures.wished(parameters),
        _wanted(document, binary=binary),
        binary,
        fields.name(document),
        fields.timeout_ns(parameters),
    )


def write(face: Face, asked: InferPictures | None, columns: Columns) -> Response:
    """Return the reply; without ``asked``, to a body that was the picture, all in JSON.

    Raises:
        InvalidArgumentError: There is no such output.

    """
    items, parts = [], []
    for name, binary in wanted(face, asked, columns).items():
        array, one = columns[name], item(name, columns[name])
        if binary:
            parts.append(raw(array))
            one["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            one["data"] = _listed(name, array)
        items.append(one)
    document = {"model_name": face.model, "model_version": str(face.release), "outputs": items}
    if asked is not None and asked.id is not None:
        document = {"id": asked.id, **document}
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return oip_reply.sent(head, parts)


def wanted(face: Face, asked: InferPictures | None, columns: Columns) -> Mapping[str, bool]:
    """Return the names of the outputs to come back, and whether each does in binary.

    Raises:
        InvalidArgumentError: There is no such output.

    """
    if asked is None or asked.wanted is None:
        return dict.fromkeys(columns, asked is not None and asked.binary)
    for name in asked.wanted.keys() - columns.keys():
        raise InvalidArgumentError(
            f"unexpected inference output '{name[:64]}' for model '{face.model}'"
        )
    return asked.wanted


def item(name: str, array: Array) -> dict[str, Any]:
    """Return what an output is, without its values."""
    text = array.dtype == object
    datatype = oip_types.BYTES if text else DATATYPES[array.dtype.name]
    return {"name": name, "datatype": datatype, "shape": list(array.shape)}


def raw(array: Array) -> bytes:
    """Return the elements in binary; of text each stands behind its length."""
    if array.dtype != object:
        return np.ascontiguousarray(array).tobytes()
    return elements.pack(array.reshape(-1))


def unpacked(data: bytes) -> list[bytes]:
    """Return the elements in ``data``. Raises InvalidArgumentError."""
    try:
        return [*elements.unpack(data)]
    except ValueError as e:
        raise InvalidArgumentError(str(e)) from e


def _files(item: Mapping[str, Any], behind: bytes) -> Iterator[bytes]:
    size = fields.parameters(item).get("binary_data_size")
    if size is not None:
        if size != len(behind):
            raise InvalidArgumentError(
                f"pictures: expected {len(behind)} bytes behind the head, found {str(size)[:32]}"
            )
        yield from unpacked(behind)
        return
    data = item.get("data")
    if not isinstance(data, list):
        raise InvalidArgumentError("Unable to parse 'data'")
    for one in data:
        element = one[0] if isinstance(one, list) and len(one) == 1 else one
        try:
            yield base64.b64decode(element, validate=True)
        except (ValueError, TypeError) as e:
            raise InvalidArgumentError("pictures in JSON are base64") from e


def _wanted(document: Mapping[str, Any], *, binary: bool) -> dict[str, bool] | None:
    if not document.get("outputs"):
        return None
    return {
        fields.text(item, "name"): fields.flag(
            fields.parameters(item), "binary_data", default=binary
        )
        for item in fields.objects(document, "outputs")
    }


def _listed(name: str, array: Array) -> Any:  # noqa: ANN401
    """Return the elements, flat; files as base64."""
    flat = array.reshape(-1)
    if array.dtype != object:
        return flat
    files = name.endswith("_bytes")
    return [base64.b64encode(one).decode() if files else one.decode() for one in flat]
