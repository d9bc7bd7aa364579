"""TensorFlow Serving's REST interface. A version is a release.

Paths, bodies, status codes and messages are those of its HTTP server, so that its clients work
unchanged.
"""

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote

import orjson

from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral.model.tasks.labels import Labels
from littoral_serve.http.messages import Later, Request, Response, whole
from littoral_serve.protocols import pictures, predict_json, servables, tfs_about
from littoral_serve.protocols.apart import Apart
from littoral_serve.protocols.json_document import LARGE
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
from littoral_serve.running.signatures import Signature

if TYPE_CHECKING:  # what few clients ask for is imported then
    from littoral_serve.protocols import examples, examples_json
    from littoral_serve.protocols.predict_pictures import Form, PredictPictures

T = TypeVar("T")

_WHERE: Final = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_CALL: Final = re.compile(rf"(?i)/v1/models/([^/:]+){_WHERE}:(predict|classify|regress)")
_ASK: Final = re.compile(rf"(?i)/v1/models(?:/([^/:]+))?{_WHERE}(/metadata)?")
_STATUS: Final = {  # as its status codes of Abseil become HTTP's
    InvalidArgumentError: HTTPStatus.BAD_REQUEST,
    UnknownServableError: HTTPStatus.NOT_FOUND,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    LateError: HTTPStatus.GATEWAY_TIMEOUT,
}
_MOST_KNOWN: Final = 512  # paths


class TensorFlowServing:
    """Answers requests under ``/v1/``."""

    def __init__(
        self,
        models: Models,
        *,
        deadline_s: float,
        pictures: Pictures | None = None,
        apart: Apart | None = None,
    ) -> None:
        self._models, self._apart = models, apart or Apart()
        self._pictures = pictures or Pictures()
        self._deadline_ns = int(deadline_s * 1e9)
        self._predicts: dict[bytes, Spec] = {}  # by paths that were read before

    def handle(self, request: Request) -> Response | Later:
        try:
            spec = self._predicts.get(request.target)
            if spec is not None and request.method == "POST":
                return self._predict(request, spec)
            return self._route(request)
        except RefusalError as e:
            return refusal(e)

    def _route(self, request: Request) -> Response | Later:
        path = request.target.decode("latin-1").partition("?")[0]
        if request.method == "POST" and (found := _CALL.fullmatch(path)):
            spec, call = _spec(found), found[4].lower()
            if call != "predict":
                return self._judge(request, spec, call)
            if len(self._predicts) < _MOST_KNOWN:
                self._predicts[request.target] = spec
            return self._predict(request, spec)
        if request.method == "GET" and (found := _ASK.fullmatch(path)):
            spec = _spec(found)
            if not spec.model:
                raise InvalidArgumentError("Missing model name in request.")
            if found[4] is not None:
                live = servables.find(self._models, spec)
                return _reply(tfs_about.metadata(live, self._pictures))
            return _reply(tfs_about.status(servables.status(self._models, spec)))
        raise InvalidArgumentError(f"Malformed request: {request.method} {path}")

    def _predict(self, request: Request, spec: Spec) -> Later:
        live = servables.find(self._models, spec)
        if pictures.is_picture(request):
            return self._look(request, live, [request.body], "rows")
        start = time.perf_counter_ns()
        body, known = request.body, live.signatures
        read = predict_json.read
        if len(body) <= predict_json.QUICK:
            asked = predict_json.fast(body, known)
            if asked is not None:
                return self._asked(request, live, start, asked)
            read = predict_json.slow
        then = partial(self._asked, request, live, start)
        return self._read(request, live, partial(read, body, known), then)

    def _asked(
        self,
        request: Request,
        live: Live,
        start: int,
        asked: "predict_json.PredictTensors | PredictPictures",
    ) -> Later:
        if not isinstance(asked, predict_json.PredictTensors):
            return self._look(request, live, asked.files, asked.form)
        write = partial(_predicted, asked)
        return self._run(request, live, asked.signature, asked.arrays, start_ns=start, write=write)

    def _judge(self, request: Request, spec: Spec, call: str) -> Later:
        """Classify examples, or regress them."""
        from littoral_serve.protocols import examples, examples_json

        method = examples.CLASSIFY if call == "classify" else examples.REGRESS
        live = servables.find(self._models, spec)
        if pictures.is_picture(request) and method == examples.CLASSIFY:
            return self._look(request, live, [request.body], "classes")
        start = time.perf_counter_ns()
        read = partial(examples_json.asked, request.body, live, method)
        return self._read(request, live, read, partial(self._judge_examples, request, live, start))

    def _judge_examples(
        self, request: Request, live: Live, start: int, asked: "examples_json.Asked"
    ) -> Later:
        if isinstance(asked, list):
            return self._look(request, live, asked, "classes")
        task, arrays = asked
        write = partial(_judged, task, live.description.labels)
        return self._run(request, live, task.signature, arrays, start_ns=start, write=write)

    def _read(
        self, request: Request, live: Live, read: Callable[[], T], then: Callable[[T], Later]
    ) -> Later:
        """Read what is not read quickly: apart, where others would wait for it."""
        if len(request.body) <= LARGE:
            return then(read())
        return self._apart.read(
            request, live, read, then, refuse=refusal, timeout_ns=self._deadline_ns
        )

    def _look(
        self,
        request: Request,
        live: Live,
        files: Sequence[bytes],
        form: "Form",
    ) -> Later:
        """Answer pictures."""
        from littoral_serve.protocols import predict_pictures  # most models are sent none

        return pictures.look(
            self._pictures,
            live,
            files,
            request=request,
            timeout_ns=self._deadline_ns,
            wish=pictures.wish(request),
            write=lambda columns: Response(HTTPStatus.OK, predict_pictures.write(columns, form)),
            refuse=refusal,
        )

    def _run(
        self,
        request: Request,
        live: Live,
        signature: Signature,
        arrays: Sequence[Array],
        *,
        start_ns: int,
        write: Callable[[Inference], bytes],
    ) -> Later:
        later = Later()
        one = Inference(
            live,
            signature,
            arrays,
            then=partial(_answer, later, write),
            arrived_ns=request.arrived_ns,
            start_ns=start_ns,
            deadline_ns=request.arrived_ns + self._deadline_ns,
        )
        later.on_left = one.leave
        live.lane.submit(one)
        return later


def _answer(later: Later, write: Callable[[Inference], bytes], one: Inference) -> None:
    start = time.perf_counter_ns()
    try:
        body = write(one)
    except (RefusalError, BackendError) as e:
        later.give(refusal(e))
        return
    one.answered(postprocess_ns=time.perf_counter_ns() - start)
    later.give(Response(HTTPStatus.OK, body))


def _predicted(asked: predict_json.PredictTensors, one: Inference) -> bytes:
    seen = one.outputs()
    if asked.rows and one.count is None:
        predict_json.check_rows(seen, asked.signature.outputs)
    return predict_json.write(asked, seen)


def _judged(task: "examples.Task", labels: Labels, one: Inference) -> bytes:
    from littoral_serve.protocols import examples, examples_json

    seen = one.outputs()
    if task.method == examples.REGRESS:
        return examples_json.write(task.values(seen))
    return examples_json.write(task.classes(seen, labels.__getitem__))


def refusal(error: RefusalError | BackendError) -> Response:
    """Return ``error`` as TensorFlow Serving words it, with its status."""
    return failure(_STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR), str(error))


def failure(status: HTTPStatus, message: str) -> Response:
    """Return an error as TensorFlow Serving words it."""
    return Response(status, b'{\n    "error": %s\n}' % orjson.dumps(whole(message)))


def _spec(found: re.Match[str]) -> Spec:
    return Spec(
        unquote(found[1] or ""),
        None if found[2] is None else servables.version(found[2]),
        None if found[3] is None else unquote(found[3]),
    )


def _reply(value: Any) -> Response:  # noqa: ANN401
    return Response(HTTPStatus.OK, orjson.dumps(value, option=orjson.OPT_INDENT_2))
