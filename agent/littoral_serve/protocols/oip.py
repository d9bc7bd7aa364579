"""The Open Inference Protocol over HTTP, with Triton's extensions: docs/protocols.md.

A version is a release. Paths, bodies, status codes and messages are those of Triton, so that
its clients work unchanged. What is no inference is told by pages.
"""

import re
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from littoral.errors import BackendError
from littoral_serve.http.again import Again
from littoral_serve.http.messages import Later, Request, Response, failure
from littoral_serve.protocols import oip_about, oip_pages, oip_reply, oip_request, pictures
from littoral_serve.protocols.apart import Apart
from littoral_serve.protocols.json_document import LARGE
from littoral_serve.protocols.oip_pages import Pages
from littoral_serve.protocols.oip_plan import Face
from littoral_serve.protocols.oip_request import InferTensors, Same
from littoral_serve.protocols.servables import Spec
from littoral_serve.running.inference import Inference
from littoral_serve.running.live import Live, Models
from littoral_serve.running.pictures import Pictures
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    OverloadedError,
    RefusalError,
    UnknownServableError,
)

if TYPE_CHECKING:
    from littoral_serve.protocols.oip_pictures import InferPictures

_INFER: Final = re.compile(rf"{oip_pages.MODEL}/infer")
_KEPT: Final = "open inference"
_STATUS: Final[Mapping[type[Exception], HTTPStatus]] = {
    InvalidArgumentError: HTTPStatus.BAD_REQUEST,
    UnknownServableError: HTTPStatus.NOT_FOUND,
    LateError: HTTPStatus.GATEWAY_TIMEOUT,
}
_VARIES: Final = {b"origin", b"content-encoding"}  # with these, more is to be done than to infer
_MOST_KNOWN: Final = 512  # paths


class OpenInference:
    """Answers requests under ``/v2``."""

    def __init__(
        self,
        models: Models,
        *,
        deadline_s: float,
        pictures: Pictures | None = None,
        apart: Apart | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._models = models
        self._pages = Pages(models, ready=ready)
        self._pictures, self._apart = pictures or Pictures(), apart or Apart()
        self._deadline_ns = int(deadline_s * 1e9)
        self._infers: dict[bytes, Spec] = {}  # by paths that were read before

    def handle(self, request: Request) -> Response | Later:
        try:
            spec = self._infers.get(request.target)
            if spec is not None and request.method == "POST":
                return self._infer(request, spec)
            return self._route(request)
        except RefusalError as e:
            return refusal(e)

    def _route(self, request: Request) -> Response | Later:
        path = request.target.decode("latin-1").partition("?")[0].rstrip("/")
        found = _INFER.fullmatch(path)
        if found is None:
            return self._pages.answer(request, path)
        spec = oip_pages.spec(found)
        if request.method != "POST":
            return oip_pages.wrong_method("POST")
        if len(self._infers) < _MOST_KNOWN:
            self._infers[request.target] = spec
        return self._infer(request, spec)

    def _infer(self, request: Request, spec: Spec) -> Later:
        live = oip_about.find(self._models, spec.model, spec.version)
        start = time.perf_counter_ns()
        face = live.kept.get(_KEPT) or _face(live)
        if pictures.is_picture(request):
            return self._look(request, live, face, None)
        if len(request.data) > LARGE and oip_request.is_slow(request.data, _head_bytes(request)):
            read = partial(_read, face, request)
            then = partial(self._asked, request, live, face, start)
            return self._apart.read(
                request, live, read, then, refuse=refusal, timeout_ns=self._deadline_ns
            )
        asked = _read(face, request)
        if request.again is not None and isinstance(asked, InferTensors):
            self._remember(request, request.again, live, face, asked)
        return self._asked(request, live, face, start, asked)

    def _asked(
        self,
        request: Request,
        live: Live,
        face: Face,
        start: int,
        asked: "InferTensors | InferPictures",
    ) -> Later:
        if isinstance(asked, InferTensors):
            return self._run(request, live, face, asked, start_ns=start)
        return self._look(request, live, face, asked)

    def _remember(
        self, request: Request, again: Again, live: Live, face: Face, asked: InferTensors
    ) -> None:
        """Have what begins as this does answered without being looked at anew."""
        if _VARIES & request.headers.keys():
            return
        same = oip_request.same(asked.plan, request.data)
        if same is not None:
            # Weakly: a connection that says nothing more must not keep a release.
            again.answer = partial(self._again, weakref.ref(live), face, same)

    def _again(
        self, known: weakref.ref[Live], face: Face, same: Same, request: Request
    ) -> Response | Later:
        """Infer what began as a request before it, down to its tensors."""
        start = time.perf_counter_ns()
        live = self._models.get(face.model)
        asked = same.read(request.data) if live is known() else None
        try:
            if live is not None and asked is not None:
                return self._run(request, live, face, asked, start_ns=start)
        except RefusalError as e:
            return refusal(e)
        if request.again is not None:
            request.again.answer = None
        return self.handle(request)

    def _run(
        self, request: Request, live: Live, face: Face, asked: InferTensors, *, start_ns: int
    ) -> Later:
        later = Later()
        one = Inference(
            live,
            asked.plan.signature,
            asked.arrays,
            then=partial(_answer, later, face, asked),
            arrived_ns=request.arrived_ns,
            start_ns=start_ns,
            deadline_ns=request.arrived_ns + (asked.plan.timeout_ns or self._deadline_ns),
            count=asked.plan.count,
        )
        asked.plan.count = one.count
        later.on_left = one.leave
        live.lane.submit(one)
        return later

    def _look(
        self, request: Request, live: Live, face: Face, asked: "InferPictures | None"
    ) -> Later:
        """Answer pictures: those that were asked for, or the one that the body is."""
        from littoral_serve.protocols import oip_pictures

        timeout_ns = asked.timeout_ns if asked else None
        return pictures.look(
            self._pictures,
            live,
            asked.files if asked else [request.body],
            request=request,
            timeout_ns=timeout_ns or self._deadline_ns,
            wish=asked.wish if asked else pictures.wish(request),
            write=partial(oip_pictures.write, face, asked),
            refuse=refusal,
        )


def _face(live: Live) -> Face:
    names = live.description.labels.names
    face = Face(live.model, live.release, live.signatures, live.batch, names)
    live.kept[_KEPT] = face
    return face


def _read(face: Face, request: Request) -> "InferTensors | InferPictures":
    """Return what a request brings. Raises InvalidArgumentError."""
    head_bytes = _head_bytes(request)
    try:
        return oip_request.read(face, request.data, head_bytes)
    except InvalidArgumentError:
        from littoral_serve.protocols import oip_pictures  # most models are sent none

        brought = oip_pictures.read(request.body, head_bytes)
        if brought is None:
            raise
        return brought


def _head_bytes(request: Request) -> bytes | None:
    return request.headers.get(b"inference-header-content-length")


def _answer(later: Later, face: Face, asked: InferTensors, one: Inference) -> None:
    start = time.perf_counter_ns()
    try:
        response = oip_reply.write(face, asked, one.outputs())
    except (RefusalError, BackendError) as e:
        later.give(refusal(e))
        return
    one.answered(postprocess_ns=time.perf_counter_ns() - start)
    later.give(response)


def refusal(error: RefusalError | BackendError) -> Response:
    """Return ``error`` with the status that Triton gives it."""
    if isinstance(error, OverloadedError):
        return overloaded(str(error))
    return failure(_STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR), str(error))


def overloaded(text: str) -> Response:
    """Return why there is too much to do now, in a moment maybe not."""
    response = failure(HTTPStatus.SERVICE_UNAVAILABLE, text)
    response.headers = b"Retry-After: 1\r\n"
    return response
