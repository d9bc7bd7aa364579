"""``tensorflow.serving.ModelService``: how models are. Which there are, the agent alone decides."""

from typing import Final

from littoral_serve.protocols import servables
from littoral_serve.protocols.rpc import tensorflow_messages as messages
from littoral_serve.protocols.rpc.answering import Call, ForbiddenError, Service
from littoral_serve.protocols.rpc.decoding import decode
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.specs import spec_of
from littoral_serve.running.live import Models

_AVAILABLE: Final = 30


class ModelService:
    """Answers with the models it is given."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.service = Service(
            "tensorflow.serving.ModelService",
            {"GetModelStatus": self.status, "HandleReloadConfigRequest": self.reload},
        )

    async def status(self, call: Call) -> bytes:
        request = decode(messages.STATUS_REQUEST, call.data)
        live = servables.status(self._models, spec_of(request))
        one = {"version": live.release, "state": _AVAILABLE, "status": {"error_code": 0}}
        return encode(messages.STATUS_RESPONSE, {"model_version_status": [one]})

    async def reload(self, _: Call) -> bytes:
        raise ForbiddenError("which releases are served is decided by the device's agent alone")
