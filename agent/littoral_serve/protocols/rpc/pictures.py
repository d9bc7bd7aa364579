"""Pictures over gRPC: the files, wishes and arrays that they are over HTTP. Knows no gRPC.

TensorFlow's messages have them as strings under the signature ``image``, the Open Inference
Protocol's as an input of datatype BYTES. docs/tasks.md
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral_serve.protocols import oip_pictures, oip_types, pictures
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.protocols.pictures import Columns
from littoral_serve.protocols.rpc import heads, tensor_protos
from littoral_serve.protocols.rpc import inference_messages as messages
from littoral_serve.protocols.rpc.answering import Call, ended
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.running.live import Live
from littoral_serve.running.pictures import INPUT, Look, Pictures
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.sights import Wish

STRING: Final = 7  # TensorFlow's number for text and bytes


async def look(
    call: Call, pictures: Pictures, live: Live, files: Sequence[bytes], wish: Wish | None = None
) -> Columns:
    """Return the arrays of the answer. Raises as ``Pictures.submit`` and ``Look.columns``."""

    def begin(end: Callable[[object], None]) -> Look:
        one = Look(
            live,
            files,
            then=end,
            arrived_ns=call.arrived_ns,
            deadline_ns=call.deadline_ns,
            wish=wish,
        )
        pictures.submit(one)
        return one

    return (await ended(begin)).columns()


def files(inputs: Mapping[str, Any]) -> list[bytes]:
    """Return the pictures in the inputs of a predict request. Raises InvalidArgumentError."""
    proto = inputs.get(INPUT)
    if len(inputs) != 1 or proto is None or proto.get("dtype", 0) != STRING:
        raise InvalidArgumentError(f"expected one input, {INPUT}, of type string")
    return [bytes(one) for one in proto.get("string_val", ())]


def predicted(columns: Columns, wanted: Sequence[str]) -> dict[str, Any]:
    """Return ``columns`` as TensorProtos: those that are wanted, all where none is named.

    Raises:
        InvalidArgumentError: There is no such output.

    """
    for name in wanted:
        if name not in columns:
            raise InvalidArgumentError(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(sorted(columns))}}}."
            )
    return {name: _proto(columns[name]) for name in wanted or columns}


def classified(columns: Columns) -> dict[str, Any]:
    """Return a ClassificationResult. Raises InvalidArgumentError: the task is another."""
    return {
        "classifications": [
            {"classes": [{"label": label, "score": score} for label, score in row]}
            for row in pictures.classes(columns)
        ]
    }


def read(request: Mapping[str, Any]) -> oip_pictures.InferPictures | None:
    """Return what a ModelInfer asks of pictures; None where its inputs are tensors.

    Raises:
        InvalidArgumentError: It is about pictures, and cannot be understood.

    """
    inputs = request.get("inputs", [])
    if oip_types.BYTES not in {one.get("datatype", "") for one in inputs}:
        return None
    raw = request.get("raw_input_contents", [])
    contents = [bytes(x) for one in inputs for x in _contents(one)]
    told = [{**one, "shape": list(one.get("shape", []))} for one in inputs]
    found = oip_pictures.unpacked(bytes(raw[0])) if len(raw) == 1 else contents
    return oip_pictures.from_head(heads.head(request, told), found)


def inferred(face: Face, given: oip_pictures.InferPictures, columns: Columns) -> bytes:
    """Return the ModelInferResponse. Raises InvalidArgumentError: there is no such output."""
    names = list(oip_pictures.wanted(face, given, columns))
    items = [oip_pictures.item(name, columns[name]) for name in names]
    response = {
        "model_name": face.model,
        "model_version": str(face.release),
        "id": given.id or "",
        "outputs": items,
        "raw_output_contents": [oip_pictures.raw(columns[name]) for name in names],
    }
    return encode(messages.MODEL_INFER_RESPONSE, response)


def _contents(one: Mapping[str, Any]) -> Sequence[Any]:
    found: Sequence[Any] = one.get("contents", {}).get("bytes_contents", ())
    return found


def _proto(array: Array) -> dict[str, Any]:
    if array.dtype != object:
        return tensor_protos.write(np.ascontiguousarray(array))
    return {
        "dtype": STRING,
        "tensor_shape": tensor_protos.shape_of(array.shape),
        "string_val": array.ravel().tolist(),
    }
