"""What clients may ask, by path. Nothing here loads or unloads: that is for the agent alone."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from littoral_serve.http.bodies import FULL, Bodies
from littoral_serve.http.hosts import Hosts
from littoral_serve.http.messages import Later, Request, Response, failure
from littoral_serve.http.server import Answer
from littoral_serve.protocols import oip, origins, tfs
from littoral_serve.protocols.apart import Apart
from littoral_serve.protocols.oip import OpenInference
from littoral_serve.protocols.tfs import TensorFlowServing
from littoral_serve.running.live import Models
from littoral_serve.running.pictures import Pictures

_METRICS: Final = (b"/metrics", b"/monitoring/prometheus/metrics")


class Clients:
    """Answers clients; those of a Unix socket, which no web page can reach, without ``hosts``."""

    def __init__(
        self,
        models: Models,
        *,
        hosts: Hosts | None,
        bodies: Bodies,
        deadline_s: float,
        pictures: Pictures | None = None,
        apart: Apart | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._models, self._bodies = models, bodies
        pictures, apart = pictures or Pictures(), apart or Apart()
        self._tensorflow = TensorFlowServing(
            models, deadline_s=deadline_s, pictures=pictures, apart=apart
        )
        self._inference = OpenInference(
            models, deadline_s=deadline_s, pictures=pictures, apart=apart, ready=ready
        )
        self._hosts = hosts

    def handle(self, request: Request) -> Answer:
        refusal = None if self._hosts is None else self._hosts.refusal(request.headers)
        if refusal is not None:
            return refusal
        origin = request.headers.get(b"origin")
        if request.method == "OPTIONS":
            return origins.preflight(origin)
        answer = self._answer(request)
        return answer if origin is None else origins.shared(answer, origin)

    def full(self, target: bytes) -> Response:
        """Return what is told to who sends a large body while there is no room for it."""
        if target[:4].lower() == b"/v1/":
            return tfs.failure(HTTPStatus.TOO_MANY_REQUESTS, FULL)
        return oip.overloaded(FULL)

    def _answer(self, request: Request) -> Response | Later:
        match request.target[:4].lower():
            case b"/v1/":
                return self._tensorflow.handle(request)
            case b"/v2/" | b"/v2" | b"/v2?":
                return self._inference.handle(request)
            case _ if request.target.partition(b"?")[0] in _METRICS:
                return self._metrics(request)
            case _:
                return failure(HTTPStatus.NOT_FOUND)

    def _metrics(self, request: Request) -> Response:
        from littoral_serve.protocols import metrics  # not every device is looked at

        if request.method not in ("GET", "HEAD"):
            return failure(HTTPStatus.METHOD_NOT_ALLOWED)
        return Response(HTTPStatus.OK, metrics.text(self._models, self._bodies), metrics.KIND)
