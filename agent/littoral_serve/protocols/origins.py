"""Web pages of other servers that may call this one: what their browsers want to be told.

Who may call is not decided here: a foreign page is refused before. Knows no model.
"""

from http import HTTPStatus
from typing import Final

from littoral_serve.http.messages import Later, Response

_ALLOW: Final = (
    b"Access-Control-Allow-Origin: %s\r\n"
    b"Access-Control-Expose-Headers: Inference-Header-Content-Length\r\n"
    b"Vary: Origin\r\n"
)
_PREFLIGHT: Final = (
    b"Access-Control-Allow-Methods: POST, GET\r\n"
    b"Access-Control-Allow-Headers: Content-Type, Inference-Header-Content-Length\r\n"
    b"Access-Control-Max-Age: 600\r\n"
)


def preflight(origin: bytes | None) -> Response:
    """Return what a browser asks before its page may send: as TensorFlow Serving, no body."""
    if origin is None:
        return Response(HTTPStatus.BAD_REQUEST, b"")
    return Response(HTTPStatus.OK, b"", headers=_PREFLIGHT + _ALLOW % origin)


def shared(answer: Response | Later, origin: bytes) -> Response | Later:
    """Return ``answer`` so that a page of ``origin``, which may call, can read it."""
    if isinstance(answer, Later) and answer.response is None:
        later = Later()
        later.on_left = answer.cancel
        answer.then(lambda response: later.give(_marked(response, origin)))
        return later
    return _marked(answer if isinstance(answer, Response) else answer.response, origin)


def _marked(response: Response | None, origin: bytes) -> Response:
    assert response is not None  # noqa: S101 (of what was given)
    response.headers += _ALLOW % origin
    return response
