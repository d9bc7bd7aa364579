"""A release's signatures as TensorFlow's SignatureDefs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from littoral_serve.protocols import servables
from littoral_serve.protocols.rpc import pictures, tensor_protos
from littoral_serve.running.live import Live
from littoral_serve.running.pictures import BYTES, INPUT, SIGNATURE, Pictures
from littoral_serve.running.signatures import Signature, View

if TYPE_CHECKING:
    from littoral.model.tasks.columns import Column

_PREDICT: Final = "tensorflow/serving/predict"


def every(live: Live, pictures: Pictures) -> dict[str, Any]:
    """Return all by their names; the last is that of pictures, where it is offered."""
    found = {name: _signature_def(one, live.batch) for name, one in live.signatures.items()}
    if (sight := pictures.offered(live)) is not None:
        found[SIGNATURE] = _picture_def(sight.columns)
    return found


def _signature_def(signature: Signature, batch: int | None) -> dict[str, Any]:
    return {
        "inputs": {view.name: _tensor_info(view, batch) for view in signature.inputs},
        "outputs": {view.name: _tensor_info(view, batch) for view in signature.outputs},
        "method_name": _PREDICT,
    }


def _picture_def(columns: "Sequence[Column]") -> dict[str, Any]:
    return {
        "inputs": {INPUT: _info(INPUT, BYTES, (-1,))},
        "outputs": {one.name: _info(one.name, one.kind, one.shape) for one in columns},
        "method_name": _PREDICT,
    }


def _tensor_info(view: View, batch: int | None) -> dict[str, Any]:
    return _info(view.name, view.dtype, view.shape(batch))


def _info(name: str, kind: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "name": f"{name}:0",
        "dtype": pictures.STRING if kind == BYTES else servables.DATA_TYPES[kind][1],
        "tensor_shape": tensor_protos.shape_of(shape),
    }
