"""TensorFlow Serving's REST interface: predict, status, metadata. A version is a release.

Paths, bodies, status codes and messages are those of its HTTP server, so that its clients work
unchanged.
"""

import re
import time
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import orjson

from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral_serve.http.messages import Later, Request, Response
from littoral_serve.protocols import predict_json
from littoral_serve.running.inference import Inference
from littoral_serve.running.live import Live, Models
from littoral_serve.running.refusals import (
    InvalidArgumentError,
    LateError,
    OverloadedError,
    RefusalError,
    UnknownServableError,
)
from littoral_serve.running.signatures import Signature, View

_WHERE: Final = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_PREDICT: Final = re.compile(rf"(?i)/v1/models/([^/:]+){_WHERE}:predict")
_ASK: Final = re.compile(rf"(?i)/v1/models(?:/([^/:]+))?{_WHERE}(/metadata)?")
_STATUS: Final = {  # as its status codes of Abseil become HTTP's
    InvalidArgumentError: HTTPStatus.BAD_REQUEST,
    UnknownServableError: HTTPStatus.NOT_FOUND,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    LateError: HTTPStatus.GATEWAY_TIMEOUT,
}
_TYPES: Final = {"float16": "DT_HALF", "float32": "DT_FLOAT"}
_MOST_TARGETS: Final = 512
_MOST_DIGITS: Final = 19  # of a version


class Target:
    """What a path names."""

    __slots__ = ("label", "metadata", "model", "version")

    def __init__(self, found: "re.Match[str]", *, metadata: bool = False) -> None:
        self.model = unquote(found[1] or "")
        self.version = None if found[2] is None else _number(found[2])
        self.label = None if found[3] is None else unquote(found[3])
        self.metadata = metadata


class TensorFlowServing:
    """Answers requests under ``/v1/``."""

    def __init__(self, models: Models, *, deadline_s: float) -> None:
        self._models = models
        self._deadline_ns = int(deadline_s * 1e9)
        self._predicts: dict[bytes, Target] = {}  # paths that were read before

    def handle(self, request: Request) -> Response | Later:
        try:
            target = self._predicts.get(request.target)
            if target is not None and request.method == "POST":
                return self._predict(request, target)
            return self._route(request)
        except RefusalError as e:
            return refusal(e)

    def _route(self, request: Request) -> Response | Later:
        path = request.target.decode("latin-1").partition("?")[0]
        if request.method == "POST" and (found := _PREDICT.fullmatch(path)):
            target = Target(found)
            if len(self._predicts) < _MOST_TARGETS:
                self._predicts[request.target] = target
            return self._predict(request, target)
        if request.method == "GET" and (found := _ASK.fullmatch(path)):
            target = Target(found, metadata=found[4] is not None)
            if not target.model:
                raise InvalidArgumentError("Missing model name in request.")
            return self._metadata(target) if target.metadata else self._status(target)
        raise InvalidArgumentError(f"Malformed request: {request.method} {path}")

    def _status(self, target: Target) -> Response:
        live = self._models.get(target.model)
        _check_label(live, target)
        if live is None and target.version is None:
            raise UnknownServableError(f"Could not find any versions of model {target.model}")
        if live is None or target.version not in (None, live.release):
            raise UnknownServableError(
                f"Could not find version {target.version} of model {target.model}"
            )
        one = {
            "version": str(live.release),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return _reply({"model_version_status": [one]})

    def _metadata(self, target: Target) -> Response:
        live = self._find(target)
        return _reply(
            {
                "model_spec": {
                    "name": live.model,
                    "signature_name": "",
                    "version": str(live.release),
                },
                "metadata": {
                    "signature_def": {
                        "signature_def": {
                            name: _signature_def(signature)
                            for name, signature in live.signatures.items()
                        }
                    }
                },
            }
        )

    def _find(self, target: Target) -> Live:
        live = self._models.get(target.model)
        _check_label(live, target)
        if live is None or target.version not in (None, live.release):
            version = target.version
            which = (
                f"Latest({target.model})"
                if version is None
                else f"Specific({target.model}, {version})"
            )
            raise UnknownServableError(f"Servable not found for request: {which}")
        return live

    def _predict(self, request: Request, target: Target) -> Response | Later:
        live = self._find(target)
        start = time.perf_counter_ns()
        call = predict_json.read(request.body, live.signatures)
        later = Later()
        one = Inference(
            live,
            call.signature,
            call.arrays,
            then=partial(_answer, later, call),
            arrived_ns=request.arrived_ns,
            start_ns=start,
            deadline_ns=request.arrived_ns + self._deadline_ns,
        )
        later.on_left = one.leave
        live.lane.submit(one)
        return later


def _answer(later: Later, call: predict_json.Call, one: Inference) -> None:
    later.give(_told(call, one))


def _told(call: predict_json.Call, one: Inference) -> Response:
    start = time.perf_counter_ns()
    try:
        seen = one.outputs()
        if call.rows and one.count is None:
            _check_rows(seen, call.signature.outputs)
        body = predict_json.write(call, seen)
    except (RefusalError, BackendError) as e:
        return refusal(e)
    one.answered(postprocess_ns=time.perf_counter_ns() - start)
    return Response(HTTPStatus.OK, body)


def refusal(error: RefusalError | BackendError) -> Response:
    """Return ``error`` as TensorFlow Serving words it, with its status."""
    return failure(_STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR), str(error))


def _number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or int(digits) >= 2**63:
        raise InvalidArgumentError(f"Failed to convert version: {digits} to numeric.")
    return int(digits)


def failure(status: HTTPStatus, message: str) -> Response:
    """Return an error as TensorFlow Serving words it."""
    # It may quote half a character, which JSON can say and UTF-8 cannot.
    text = orjson.dumps(message.encode(errors="replace").decode())
    return Response(status, b'{\n    "error": %s\n}' % text)


def _check_rows(outputs: list[Array], views: tuple[View, ...]) -> None:
    size = None
    for output, view in zip(outputs, views, strict=True):
        if not output.ndim:
            raise InvalidArgumentError(f"Tensor name: {view.name} has no shape information ")
        if size not in (None, len(output)):
            raise InvalidArgumentError(
                f"Tensor name: {view.name} has inconsistent batch size: {len(output)} "
                f"expecting: {size}"
            )
        size = len(output)


def _check_label(live: Live | None, target: Target) -> None:
    if target.label is not None and (live is None or target.label != live.label):
        raise InvalidArgumentError(f"Unrecognized servable version label: {target.label}")


def _reply(value: Any) -> Response:  # noqa: ANN401
    return Response(HTTPStatus.OK, orjson.dumps(value, option=orjson.OPT_INDENT_2))


def _signature_def(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {view.name: _tensor_info(view) for view in signature.inputs},
        "outputs": {view.name: _tensor_info(view) for view in signature.outputs},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


def _tensor_info(view: View) -> dict[str, Any]:
    return {
        "dtype": _TYPES.get(view.dtype, f"DT_{view.dtype.upper()}"),
        "tensor_shape": {
            "dim": [{"size": str(n), "name": ""} for n in view.spec.shape],
            "unknown_rank": False,
        },
        "name": f"{view.name}:0",
    }
