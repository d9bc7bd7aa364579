"""What clients may ask, by path. Nothing here loads or unloads: that is for the agent alone."""

from collections.abc import Awaitable
from http import HTTPStatus

from littoral_serve.http.hosts import Hosts
from littoral_serve.http.messages import Request, Response, plain
from littoral_serve.protocols.tfs import TensorFlowServing, failure
from littoral_serve.running.live import Models


class Clients:
    """Answers clients; those of a Unix socket, which no web page can reach, without ``hosts``."""

    def __init__(self, models: Models, *, hosts: Hosts | None) -> None:
        self._tensorflow = TensorFlowServing(models)
        self._hosts = hosts

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        refusal = None if self._hosts is None else self._hosts.refusal(request.headers)
        if refusal is not None:
            return failure(HTTPStatus.FORBIDDEN, refusal)
        match request.target[:4].lower():
            case b"/v1/":
                return self._tensorflow.handle(request)
            case _:
                return plain(HTTPStatus.NOT_FOUND)
