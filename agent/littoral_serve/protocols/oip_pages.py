"""What is told under ``/v2`` of a server and its models, and what no client may do there.

Paths, statuses and messages are Triton's. Nothing is loaded or unloaded here: that is for the
agent alone.
"""

import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import orjson

from littoral_serve.http.messages import Request, Response, failure
from littoral_serve.protocols import oip_about, servables
from littoral_serve.protocols.servables import Spec
from littoral_serve.running.live import Models

MODEL: Final = r"/v2/models/([^/]+)(?:/versions/([0-9]+))?"
_OF_MODEL: Final = re.compile(rf"{MODEL}(?:/(ready|config|stats))?")
_ORDER: Final = re.compile(r"/v2/repository(?:/[^/]+)?/models/[^/]+/(?:load|unload)")
_INDEX: Final = re.compile(r"/v2/repository(?:/[^/]+)?/index")


class Pages:
    """Tells them; ``ready`` says whether requests are taken."""

    def __init__(self, models: Models, *, ready: Callable[[], bool]) -> None:
        self._models, self._ready = models, ready

    def answer(self, request: Request, path: str) -> Response:
        """Return what is to be read at ``path``. Raises RefusalError."""
        if page := self._of_server(path):
            return _told(request, page)
        if found := _OF_MODEL.fullmatch(path):
            return _told(request, partial(self._of_model, spec(found), found[3]))
        if _INDEX.fullmatch(path):
            return _told(request, lambda: _page(oip_about.index(self._models)), method="POST")
        if _ORDER.fullmatch(path):
            return failure(HTTPStatus.FORBIDDEN, "models are loaded and unloaded by the agent only")
        return failure(HTTPStatus.NOT_FOUND, f"nothing is known of {path[:200]}")

    def _of_server(self, path: str) -> Callable[[], Response] | None:
        match path:
            case "/v2":
                return lambda: _page(oip_about.server())
            case "/v2/health/live":
                return lambda: _page({"live": True})
            case "/v2/health/ready":
                return lambda: self._readiness({"live": True})
            case "/v2/models":
                return lambda: _page({"models": [live.model for live in self._models]})
            case "/v2/models/stats":
                return lambda: _page(oip_about.statistics(self._models))
            case _:
                return None

    def _of_model(self, asked: Spec, what: str | None) -> Response:
        live = oip_about.find(self._models, asked.model, asked.version)
        match what:
            case "ready":
                return self._readiness({"name": live.model})
            case "config":
                return _page(oip_about.configuration(live))
            case "stats":
                return _page(oip_about.statistics([live]))
            case _:
                return _page(oip_about.model(live))

    def _readiness(self, about: dict[str, Any]) -> Response:
        """Tell it by the status as well: who asks may look at nothing else."""
        ready = self._ready()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _page({**about, "ready": ready}, status)


def spec(found: re.Match[str]) -> Spec:
    """Return which release a path names, as ``MODEL`` found it. Raises InvalidArgumentError."""
    return Spec(unquote(found[1]), None if found[2] is None else servables.version(found[2]))


def wrong_method(allowed: str) -> Response:
    response = failure(HTTPStatus.METHOD_NOT_ALLOWED, f"the method here is {allowed}")
    response.headers = b"Allow: %s\r\n" % allowed.encode()
    return response


def _told(request: Request, page: Callable[[], Response], *, method: str = "GET") -> Response:
    return page() if request.method in (method, "HEAD") else wrong_method(method)


def _page(told: dict[str, Any] | list[Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(status, orjson.dumps(told))
