"""What TensorFlow Serving's REST interface tells of a release: its status, its metadata."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from littoral_serve.protocols.servables import DATA_TYPES
from littoral_serve.running.live import Live
from littoral_serve.running.pictures import BYTES, INPUT, SIGNATURE, Pictures
from littoral_serve.running.signatures import Signature, View

if TYPE_CHECKING:
    from littoral.model.tasks.columns import Column


def status(live: Live) -> dict[str, Any]:
    one = {
        "version": str(live.release),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [one]}


def metadata(live: Live, pictures: Pictures) -> dict[str, Any]:
    """Return the signatures; the last is that of pictures, where it is offered."""
    signatures = {name: _signature_def(one, live.batch) for name, one in live.signatures.items()}
    if (sight := pictures.offered(live)) is not None:
        signatures[SIGNATURE] = _picture_def(sight.columns)
    spec = {"name": live.model, "signature_name": "", "version": str(live.release)}
    return {
        "model_spec": spec,
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _signature_def(signature: Signature, batch: int | None) -> dict[str, Any]:
    inputs = {view.name: _of_view(view, batch) for view in signature.inputs}
    return _definition(inputs, {view.name: _of_view(view, batch) for view in signature.outputs})


def _picture_def(columns: "Sequence[Column]") -> dict[str, Any]:
    inputs = {INPUT: _info(INPUT, BYTES, (-1,))}
    return _definition(inputs, {c.name: _info(c.name, c.kind, c.shape) for c in columns})


def _definition(inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": inputs,
        "outputs": outputs,
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


def _of_view(view: View, batch: int | None) -> dict[str, Any]:
    return _info(view.name, view.dtype, view.shape(batch))


def _info(name: str, kind: str, shape: Sequence[int]) -> dict[str, Any]:
    return {
        "dtype": "DT_STRING" if kind == BYTES else DATA_TYPES[kind][0],
        "tensor_shape": {
            "dim": [{"size": str(n), "name": ""} for n in shape],
            "unknown_rank": False,
        },
        "name": f"{name}:0",
    }
