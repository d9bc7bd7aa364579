"""The two listeners as applications: one for people, one for devices. They share a context."""

from collections.abc import Iterable
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from littoral import __version__, addresses
from littoral.errors import EndlessError
from littoral_console import answers, devices, pages, rest
from littoral_console.access import Someone
from littoral_console.context import Context
from littoral_console.load import Load

_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_BODY_BYTES: Final = 2**20
_OFFERS_BYTES: Final = 32 * 2**20  # the names of all files of a publisher's repository


def people_app(context: Context) -> FastAPI:
    """Return the listener for people: REST with its OpenAPI document, and pages."""
    app = FastAPI(
        title="littoral",
        version=__version__,
        summary="The fleet of devices that run INT8 models",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    answers.install(app)
    app.include_router(rest.router)
    app.include_router(pages.router)
    app.add_exception_handler(HTTPException, pages.nowhere)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/metrics", include_in_schema=False)
    async def metrics(_who: Someone) -> PlainTextResponse:
        """Return what the console carries, for Prometheus: it sends an API token as bearer."""
        return PlainTextResponse(context.load.text(), media_type=_PROMETHEUS)

    app.add_middleware(Guard, hosts=context.hosts)
    return app


def devices_app(context: Context) -> FastAPI:
    """Return the listener for devices."""
    app = FastAPI(title="littoral devices", openapi_url=None, docs_url=None, redoc_url=None)
    answers.install(app)
    app.include_router(devices.router(context))
    app.add_middleware(Weighed, load=context.load)
    return app


class Weighed:
    """Counts what devices are sent, beside heads and TLS: some of them pay for it by the byte."""

    def __init__(self, app: ASGIApp, *, load: Load) -> None:
        self._app, self._load = app, load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def weighed(message: Message) -> None:
            self._load.devices_bytes += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, weighed)


class Guard:
    """Answers only to its own names, so that no page elsewhere reaches it by another one."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name for name, _ in message["headers"]}
                more = [header for header in _HEADERS if header[0] not in named]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        header = dict(scope["headers"]).get(b"host", b"")
        host = addresses.host_of(header.decode("latin-1"))
        if self._hosts and host not in self._hosts:
            error = answers.refusal(
                answers.UnknownHostError(
                    f"this console is not called {host[:100]!r}; start it with --name"
                )
            )
            await error(scope, receive, guarded)
            return
        await self._app(scope, _counted(receive, most=_most(scope["path"])), guarded)


def _most(path: str) -> int | None:
    """Return how long a body may be, None where files are sent and counted as they come."""
    if path == "/upload" or path.startswith("/api/v1/uploads/"):
        return None
    return _OFFERS_BYTES if path == "/api/v1/uploads" else _BODY_BYTES


def _counted(receive: Receive, *, most: int | None) -> Receive:
    """Read no further than ``most`` bytes: FastAPI reads all of a body before it asks who sent it.

    What is raised here passes through whatever reads.
    """
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if most is not None and read > most:
            raise HTTPException(413, str(EndlessError("the request", limit=most)))
        return message

    return counted
