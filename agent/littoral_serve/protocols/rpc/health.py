"""``grpc.health.v1.Health``: what orchestrators ask of any server that speaks gRPC."""

from collections.abc import Callable, Sequence
from typing import Final

from littoral_serve.protocols.rpc.answering import Call, Service
from littoral_serve.protocols.rpc.decoding import decode
from littoral_serve.protocols.rpc.encoding import encode
from littoral_serve.protocols.rpc.tables import Message, one
from littoral_serve.running.refusals import UnknownServableError

_REQUEST: Final = Message("grpc.health.v1.HealthCheckRequest", service=one(1, "string"))
_RESPONSE: Final = Message("grpc.health.v1.HealthCheckResponse", status=one(1, "enum"))
_SERVING: Final = 1
_NOT_SERVING: Final = 2


class Health:
    """Answers for ``services``, and for all of them together."""

    def __init__(
        self, services: Sequence[Service], *, ready: Callable[[], bool] = lambda: True
    ) -> None:
        self._ready = ready
        self._names = {"", *(service.name for service in services)}
        self.service = Service("grpc.health.v1.Health", {"Check": self.check})

    async def check(self, call: Call) -> bytes:
        name = decode(_REQUEST, call.data).get("service", "")
        if name not in self._names:
            raise UnknownServableError(f"there is no service {name[:100]!r}")
        return encode(_RESPONSE, {"status": _SERVING if self._ready() else _NOT_SERVING})
