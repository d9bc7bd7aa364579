"""How a listener says no: one JSON shape, ``{"code", "error"}``, and one status for each error."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from littoral.errors import (
    BundleError,
    DefectError,
    DeniedError,
    DiskFullError,
    EndlessError,
    LittoralError,
    MisuseError,
    NotFoundError,
    StorageError,
    TrustError,
    UnreachableError,
)
from littoral_console.limits import TooManyError

_STATUS: Final[tuple[tuple[type[LittoralError], int], ...]] = (
    (NotFoundError, 404),
    (MisuseError, 400),
    (EndlessError, 413),
    (TrustError, 422),
    (BundleError, 422),
    (TooManyError, 429),
    (DeniedError, 403),
    (DiskFullError, 507),
    (StorageError, 503),
    (UnreachableError, 503),
)
_BY_STATUS: Final[dict[int, type[LittoralError]]] = {
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    413: EndlessError,
}
_LONG: Final = 2000  # characters of a refusal: it quotes what was sent, and that may be a mebibyte
_log = logging.getLogger(__name__)


class UnknownPersonError(DeniedError):
    """Nobody knows who asks: log in."""


class UnknownHostError(DeniedError):
    """The request is for a name that this console does not have."""


def status(error: LittoralError) -> int:
    """Return the HTTP status that goes with ``error``."""
    if isinstance(error, UnknownPersonError):
        return 401
    if isinstance(error, UnknownHostError):
        return 421
    return next((number for kind, number in _STATUS if isinstance(error, kind)), 500)


def refusal(error: LittoralError) -> JSONResponse:
    return _json(status(error), code=error.code, words=str(error))


async def body(request: Request, *, limit: int) -> bytes:
    """Return the whole body. Raises EndlessError above ``limit`` bytes."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise EndlessError("the request", limit=limit)
    return bytes(read)


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error in this shape."""
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        LittoralError: _on_ours,
        HTTPException: on_http,
        RequestValidationError: _on_invalid,
        Exception: _on_bug,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _on_ours(_request: Request, error: Exception) -> Response:
    if not isinstance(error, LittoralError):
        raise error
    return refusal(error)


async def on_http(_request: Request, error: Exception) -> Response:
    """Answer what a framework refuses by itself."""
    if not isinstance(error, HTTPException):
        raise error
    return _json(error.status_code, code=code(error), words=str(error.detail))


def code(error: HTTPException) -> str:
    """Return the code that goes with a framework's error."""
    return _BY_STATUS.get(error.status_code, MisuseError).code


async def _on_invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = "; ".join(
        f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors()
    )
    return _json(422, code=MisuseError.code, words=found)


async def _on_bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _json(500, code=DefectError.code, words="the console failed; its log says why")


def _json(number: int, *, code: str, words: str) -> JSONResponse:
    # They may quote half a character, which JSON can say and UTF-8 cannot.
    text = " ".join(words.split()).encode(errors="replace").decode()
    text = text if len(text) <= _LONG else f"{text[:_LONG]}…"
    return JSONResponse({"code": code, "error": text}, number)
