"""``inference.GRPCInferenceService``: the Open Inference Protocol over gRPC, as Triton has it.

What it tells is what HTTP's side tells. Knows no gRPC.
"""

import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from littoral.errors import BackendError
from littoral_serve.protocols import oip_about
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.protocols.rpc import answering, infer, pictures
from littoral_serve.protocols.rpc import inference_messages as messages
from littoral_serve.protocols.rpc.answering import Call, ForbiddenError, Service
from littoral_serve.protocols.rpc.decoding import WireError, decode
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.tables import Message
from littoral_serve.running.live import Live, Models
from littoral_serve.running.pictures import Pictures
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    RefusalError,
    UnknownServableError,
)

_MOST_DIGITS: Final = 19  # of a version
_TYPES: Final = {  # of tensors, by Triton's numbers
    f"TYPE_{name}": number
    for name, number in (
        *(("BOOL", 1), ("UINT8", 2), ("INT8", 6), ("INT16", 7), ("INT32", 8), ("INT64", 9)),
        *(("FP16", 10), ("FP32", 11), ("STRING", 13)),
    )
}
_ENDS: Final = ("inputs", "outputs")
_FORMATS: Final = {"FORMAT_NONE": 0, "FORMAT_NHWC": 1, "FORMAT_NCHW": 2}


class InferenceService:
    """Answers with the models it is given."""

    def __init__(
        self,
        models: Models,
        pictures: Pictures | None = None,
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._models, self._ready = models, ready
        self._pictures = pictures or Pictures()
        self._faces: weakref.WeakKeyDictionary[Live, Face] = weakref.WeakKeyDictionary()
        self.service = Service(
            "inference.GRPCInferenceService",
            {
                "ServerLive": _live,
                "ServerReady": self.server_ready,
                "ServerMetadata": self.server,
                "ModelReady": self.model_ready,
                "ModelMetadata": self.metadata,
                "ModelConfig": self.configuration,
                "ModelInfer": self.infer,
                "ModelStatistics": self.statistics,
                "RepositoryIndex": self.index,
                "RepositoryModelLoad": _refuse,
                "RepositoryModelUnload": _refuse,
            },
            {"ModelStreamInfer": self.stream_infer},
        )

    async def server(self, _: Call) -> bytes:
        return encode(messages.SERVER_METADATA_RESPONSE, oip_about.server())

    async def server_ready(self, _: Call) -> bytes:
        return encode(messages.SERVER_READY_RESPONSE, {"ready": self._ready()})

    async def model_ready(self, call: Call) -> bytes:
        request = decode(messages.MODEL_READY_REQUEST, call.data)
        try:
            self._find(request, "name", "version")
        except UnknownServableError:
            return encode(messages.MODEL_READY_RESPONSE, {"ready": False})
        return encode(messages.MODEL_READY_RESPONSE, {"ready": self._ready()})

    async def metadata(self, call: Call) -> bytes:
        request = decode(messages.MODEL_METADATA_REQUEST, call.data)
        told = oip_about.model(self._find(request, "name", "version"))
        tensors = {
            key: [_known(messages.TENSOR_METADATA, one) for one in told[key]] for key in _ENDS
        }
        return encode(messages.MODEL_METADATA_RESPONSE, told | tensors)

    async def configuration(self, call: Call) -> bytes:
        request = decode(messages.CONFIG_REQUEST, call.data)
        told = oip_about.configuration(self._find(request, "name", "version"))
        tensors = {key: [_numbered(one) for one in told[key]] for key in ("input", "output")}
        return encode(messages.CONFIG_RESPONSE, {"config": told | tensors})

    async def infer(self, call: Call) -> bytes:
        start = time.perf_counter_ns()
        request = decode(messages.MODEL_INFER_REQUEST, call.data)
        live = self._find(request, "model_name", "model_version")
        face = self._faces.get(live) or self._face(live)
        given = pictures.read(request)
        if given is not None:
            call = _within(call, given.timeout_ns)
            columns = await pictures.look(call, self._pictures, live, given.files, given.wish)
            return pictures.inferred(face, given, columns)
        plan, arrays = infer.read(face, request)
        call = _within(call, plan.timeout_ns)
        write = partial(infer.encoded, face, plan)
        return await answering.answer(
            call, live, plan.signature, arrays, start_ns=start, write=write
        )

    async def stream_infer(self, call: Call) -> bytes:
        """Infer, and tell what went wrong in the response: the stream goes on."""
        try:
            return encode(messages.STREAM_RESPONSE, {"infer_response": await self.infer(call)})
        except (RefusalError, BackendError, WireError) as e:
            return encode(messages.STREAM_RESPONSE, {"error_message": str(e)})

    async def statistics(self, call: Call) -> bytes:
        request = decode(messages.STATISTICS_REQUEST, call.data)
        lives = [self._find(request, "name", "version")] if request.get("name") else self._models
        return encode(messages.STATISTICS_RESPONSE, oip_about.statistics(lives))

    async def index(self, _: Call) -> bytes:
        return encode(messages.INDEX_RESPONSE, {"models": oip_about.index(self._models)})

    def _find(self, request: Mapping[str, Any], name: str, version: str) -> Live:
        model, digits = request.get(name, ""), request.get(version, "")
        if digits and not (digits.isascii() and digits.isdigit() and len(digits) < _MOST_DIGITS):
            raise InvalidArgumentError(
                f"failed to get model version from specified version string '{digits[:64]}', "
                "version should be an integral value > 0"
            )
        return oip_about.find(self._models, model, int(digits) if digits else None)

    def _face(self, live: Live) -> Face:
        face = Face(
            live.model, live.release, live.signatures, live.batch, live.description.labels.names
        )
        self._faces[live] = face
        return face


def _within(call: Call, timeout_ns: int | None) -> Call:
    """Return ``call`` as its client wants it answered in ``timeout_ns``, if it says that."""
    if timeout_ns is None:
        return call
    return Call(call.data, call.arrived_ns, call.arrived_ns + timeout_ns)


async def _live(_: Call) -> bytes:
    return encode(messages.SERVER_LIVE_RESPONSE, {"live": True})


async def _refuse(_: Call) -> bytes:
    raise ForbiddenError("models are loaded and unloaded by the agent only")


def _known(of: Message, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in of.fields}


def _numbered(tensor: Mapping[str, Any]) -> dict[str, Any]:
    made = {**tensor, "data_type": _TYPES[tensor["data_type"]]}
    return made | {"format": _FORMATS[tensor["format"]]} if "format" in tensor else made
