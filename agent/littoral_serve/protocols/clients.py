"""What clients may ask, by path. Nothing here loads or unloads: that is for the agent alone."""

from http import HTTPStatus

from littoral_serve.http.hosts import Hosts
from littoral_serve.http.messages import Request, plain
from littoral_serve.http.server import Answer
from littoral_serve.protocols.tfs import TensorFlowServing, failure
from littoral_serve.running.live import Models


class Clients:
    """Answers clients; those of a Unix socket, which no web page can reach, without ``hosts``."""

    def __init__(self, models: Models, *, hosts: Hosts | None, deadline_s: float) -> None:
        self._tensorflow = TensorFlowServing(models, deadline_s=deadline_s)
        self._hosts = hosts

    def handle(self, request: Request) -> Answer:
        refusal = None if self._hosts is None else self._hosts.refusal(request.headers)
        if refusal is not None:
            return failure(HTTPStatus.FORBIDDEN, refusal)
        match request.target[:4].lower():
            case b"/v1/":
                return self._tensorflow.handle(request)
            case _:
                return plain(HTTPStatus.NOT_FOUND)
