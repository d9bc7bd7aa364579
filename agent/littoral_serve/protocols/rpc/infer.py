"""A ModelInfer of the Open Inference Protocol over gRPC, into arrays and back. Pure.

What a request asks is read where HTTP's is, so that both have one meaning and the same errors:
a message becomes the head that would say it. Outputs always leave as raw bytes, as Triton's do.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from littoral.model.backends import Array
from littoral.wire.datatypes import DATATYPES
from littoral_serve.protocols import oip_plan, oip_reply, oip_types
from littoral_serve.protocols.oip_plan import Face, InferPlan, Wanted
from littoral_serve.protocols.rpc import heads
from littoral_serve.protocols.rpc import inference_messages as messages
from littoral_serve.protocols.rpc.decoding import joined
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.running.refusals import InvalidArgumentError
from littoral_serve.running.signatures import View

_FIELDS: Final = {  # in which the values of a datatype come, one by one
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
}
_DTYPES: Final = {datatype: dtype for dtype, datatype in DATATYPES.items()}


def read(face: Face, request: Mapping[str, Any]) -> tuple[InferPlan, list[Array]]:
    """Return what ``request`` asks, and its arrays in the order of the signature's inputs.

    Raises:
        InvalidArgumentError: It cannot be understood, or does not fit the model.

    """
    inputs = request.get("inputs", [])
    data = dict(
        zip(
            (one.get("name", "") for one in inputs),
            _data(face, inputs, request.get("raw_input_contents", [])),
            strict=True,
        )
    )
    told = [
        {
            "name": one.get("name", ""),
            "datatype": one.get("datatype", ""),
            "shape": one.get("shape", []),
            "parameters": {
                **heads.parameters(one),
                "binary_data_size": memoryview(data[one.get("name", "")]).nbytes,
            },
        }
        for one in inputs
    ]
    plan = oip_plan.read(face, heads.head(request, told), cuts=0)
    views = plan.signature.inputs
    return plan, [
        _array(data[view.name], view, place.shape)
        for view, place in zip(views, plan.places, strict=True)
    ]


def _data(face: Face, inputs: Sequence[Mapping[str, Any]], raw: Sequence[Any]) -> list[Any]:
    """Return the bytes of each input."""
    if not raw:
        return [_typed(face, one) for one in inputs]
    if len(raw) != len(inputs):
        raise InvalidArgumentError(
            f"expected raw_input_contents of {len(inputs)} inputs for model '{face.model}', "
            f"found {len(raw)}"
        )
    for one in inputs:
        if one.get("contents"):
            raise InvalidArgumentError(
                "contents field must not be specified when using raw_input_contents for "
                f"'{one.get('name', '')}' for model '{face.model}'"
            )
    return list(raw)


def _typed(face: Face, one: Mapping[str, Any]) -> bytes:
    """Return the values of an input that came one by one, as bytes."""
    datatype, contents = one.get("datatype", ""), one.get("contents", {})
    name = _FIELDS.get(datatype, "")
    for other in contents:
        if other != name:
            raise InvalidArgumentError(
                f"unexpected explicit tensor data for input tensor '{one.get('name', '')}' for "
                f"model '{face.model}': {other}, expected {name or 'raw_input_contents'} for "
                f"datatype '{datatype}'"
            )
    if name not in contents:
        return b""
    values = joined(contents[name], messages.CONTENTS.fields[name].kind)
    made = values.astype(_DTYPES[datatype], copy=False) if datatype in _DTYPES else values
    if made.dtype != values.dtype and not np.array_equal(made, values):
        raise InvalidArgumentError(
            f"a value of input '{one.get('name', '')}' is not of datatype '{datatype}'"
        )
    return made.tobytes()


def _array(data: Any, view: View, shape: tuple[int, ...]) -> Array:  # noqa: ANN401
    flat: Array = np.frombuffer(data, view.dtype, prod(shape))
    if view.dtype == "bool":  # whose bytes may be anything
        flat = flat.view(np.uint8) != 0
    return flat.reshape(shape)


def write(face: Face, plan: InferPlan, outputs: Sequence[Array]) -> dict[str, Any]:
    """Return the ModelInferResponse; ``outputs`` are all of the signature's."""
    made = [_output(face, plan, wanted, outputs[wanted.at]) for wanted in plan.wanted]
    return {
        "model_name": face.model,
        "model_version": str(face.release),
        "id": plan.id,
        "outputs": [item for item, _ in made],
        "raw_output_contents": [data for _, data in made],
    }


def _output(
    face: Face, plan: InferPlan, wanted: Wanted, array: Array
) -> tuple[dict[str, Any], Any]:
    if wanted.classes:
        item, data = oip_reply.labelled(face, plan, wanted, array)
        return {key: item[key] for key in ("name", "datatype", "shape")}, data
    view = plan.signature.outputs[wanted.at]
    item = {"name": view.name, "datatype": oip_types.datatype(view), "shape": list(array.shape)}
    return item, np.ascontiguousarray(array)


def encoded(face: Face, plan: InferPlan, outputs: Sequence[Array]) -> bytes:
    """Return ``write`` as bytes."""
    return encode(messages.MODEL_INFER_RESPONSE, write(face, plan, outputs))
