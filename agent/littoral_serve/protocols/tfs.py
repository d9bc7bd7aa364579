"""TensorFlow Serving's REST interface: predict, status, metadata. A version is a release.

Paths, bodies, status codes and messages are those of its HTTP server, so that its clients work
unchanged. The invoke runs on the loop: nothing is faster, and a batch gives way in between.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
import orjson

from littoral.errors import BackendError
from littoral.model.backends import Array
from littoral_serve.http.messages import Request, Response
from littoral_serve.protocols import predict_json
from littoral_serve.protocols.predict_dom import InvalidArgumentError
from littoral_serve.running.live import Live, Models
from littoral_serve.running.signatures import Signature, View

_WHERE: Final = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_PREDICT: Final = re.compile(rf"(?i)/v1/models/([^/:]+){_WHERE}:predict")
_ASK: Final = re.compile(rf"(?i)/v1/models(?:/([^/:]+))?{_WHERE}(/metadata)?")
_TURN_S: Final = 0.005  # of a batch's work, before other requests get their turn
_TYPES: Final = {"float16": "DT_HALF", "float32": "DT_FLOAT"}
_MOST_TARGETS: Final = 512
_MOST_DIGITS: Final = 19  # of a version


class UnknownServableError(Exception):
    """There is no such model, release or label."""


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

    def __init__(self, models: Models) -> None:
        self._models = models
        self._predicts: dict[bytes, Target] = {}  # paths that were read before

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        try:
            target = self._predicts.get(request.target)
            if target is not None and request.method == "POST":
                return self._predict(request, target)
            return self._route(request)
        except InvalidArgumentError as e:
            return failure(HTTPStatus.BAD_REQUEST, str(e))
        except UnknownServableError as e:
            return failure(HTTPStatus.NOT_FOUND, str(e))
        except BackendError as e:
            return failure(HTTPStatus.INTERNAL_SERVER_ERROR, str(e))

    def _route(self, request: Request) -> Response | Awaitable[Response]:
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

    def _predict(self, request: Request, target: Target) -> Response | Awaitable[Response]:
        live = self._find(target)
        work = _Work(live, request)
        if len(work.batches) == 1:
            work.step()
            return work.reply()
        return self._in_turns(work)

    async def _in_turns(self, work: "_Work") -> Response:
        try:
            turn = time.perf_counter()
            while not work.done:
                work.step()
                if time.perf_counter() - turn > _TURN_S:
                    await asyncio.sleep(0)
                    turn = time.perf_counter()
            return work.reply()
        except InvalidArgumentError as e:
            return failure(HTTPStatus.BAD_REQUEST, str(e))
        except BackendError as e:
            return failure(HTTPStatus.INTERNAL_SERVER_ERROR, str(e))


class _Work:
    """One predict request on its way through a release: it ends on the one it began on."""

    def __init__(self, live: Live, request: Request) -> None:
        start = time.perf_counter_ns()
        self._live = live
        self._call = predict_json.read(request.body, live.signatures)
        views = self._call.signature.inputs
        try:
            stored = [v.stored(a) for v, a in zip(views, self._call.arrays, strict=True)]
        except ValueError as e:
            raise InvalidArgumentError(str(e)) from e
        self.batches, self._count = _batches(stored, views, live.batch)
        self._made: list[tuple[Array, ...]] = []
        self._queue = start - request.arrived_ns
        self._preprocess = time.perf_counter_ns() - start

    @property
    def done(self) -> bool:
        return len(self._made) == len(self.batches)

    def step(self) -> None:
        try:
            self._made.append(self._live.run(*self.batches[len(self._made)]))
        except BackendError:
            self._live.meter.failed()
            raise

    def reply(self) -> Response:
        start = time.perf_counter_ns()
        views = self._call.signature.outputs
        if len(self._made) == 1:
            stored: Sequence[Array] = self._made[0]
        else:
            stored = [np.concatenate(parts) for parts in zip(*self._made, strict=True)]
        seen = [v.seen(a[: self._count]) for v, a in zip(views, stored, strict=True)]
        if self._call.rows and self._live.batch is None:
            _check_rows(seen, views)
        body = predict_json.write(self._call, seen)
        self._live.meter.answered(
            queue=self._queue,
            preprocess=self._preprocess,
            postprocess=time.perf_counter_ns() - start,
        )
        return Response(HTTPStatus.OK, body)


def _number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or int(digits) >= 2**63:
        raise InvalidArgumentError(f"Failed to convert version: {digits} to numeric.")
    return int(digits)


def failure(status: HTTPStatus, message: str) -> Response:
    """Return an error as TensorFlow Serving words it."""
    # It may quote half a character, which JSON can say and UTF-8 cannot.
    text = orjson.dumps(message.encode(errors="replace").decode())
    return Response(status, b'{\n    "error": %s\n}' % text)


def _batches(
    arrays: list[Array], views: tuple[View, ...], size: int | None
) -> tuple[list[tuple[Array, ...]], int | None]:
    """Return ``arrays`` cut into batches of ``size``, and how many instances there are."""
    if size is None:
        for array, view in zip(arrays, views, strict=True):
            _check_shape(array, view, view.spec.shape)
        return [tuple(arrays)], None
    count = len(arrays[0]) if arrays[0].ndim else 0
    for array, view in zip(arrays, views, strict=True):
        _check_shape(array, view, (max(count, 1), *view.instance))
    if count == size:
        return [tuple(arrays)], count
    rest = -count % size
    if rest:
        arrays = [np.concatenate([a, np.zeros((rest, *a.shape[1:]), a.dtype)]) for a in arrays]
    return [
        tuple(array[at : at + size] for array in arrays) for at in range(0, count + rest, size)
    ], count


def _check_shape(array: Array, view: View, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        want, got = (",".join(map(str, s)) for s in (shape, array.shape))
        raise InvalidArgumentError(f"input {view.name}: Expecting shape [{want}] but got: [{got}]")


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
