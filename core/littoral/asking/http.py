"""The Open Inference Protocol over HTTP, with binary tensors; pictures are its BYTES.

What a model takes is asked of TensorFlow Serving's metadata, which name all signatures.
"""

import http.client
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import numpy as np

from littoral.asking.question import (
    MOST_BYTES,
    Array,
    Look,
    Question,
    Shown,
    failure,
    unreachable,
)
from littoral.errors import LittoralError, MalformedError, UnreachableError
from littoral.wire import elements
from littoral.wire.datatypes import DATATYPES
from littoral.wire.frames import Described, Dtype, Signature, Spec

_DTYPES: Final = {datatype: dtype for dtype, datatype in DATATYPES.items()}
_PLAIN: Final = {"DT_HALF": "float16", "DT_FLOAT": "float32"}
_CODES: Final[Mapping[int, str]] = {
    HTTPStatus.TOO_MANY_REQUESTS: "overloaded",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded",
    HTTPStatus.GATEWAY_TIMEOUT: "deadline",
    HTTPStatus.INTERNAL_SERVER_ERROR: "backend",
}
_BYTES: Final = "BYTES"
_HEAD_BYTES: Final = "Inference-Header-Content-Length"


class HttpLine:
    """``connection``, kept open; ``where`` is for people."""

    def __init__(
        self, connection: http.client.HTTPConnection, where: str, *, timeout_s: float
    ) -> None:
        self._connection, self._where = connection, where
        self._timeout_us = max(1, int(timeout_s * 1e6))

    def describe(self, model: str, release: int | None) -> Described:
        version = "" if release is None else f"/versions/{release}"
        _, reply = self._ask("GET", f"/v1/models/{quote(model, safe='')}{version}/metadata")
        try:
            told = json.loads(reply)
            spec = told["model_spec"]
            return Described(
                model=spec["name"],
                release=int(spec["version"]),
                label="",
                signatures={
                    name: Signature(inputs=_specs(one["inputs"]), outputs=_specs(one["outputs"]))
                    for name, one in told["metadata"]["signature_def"]["signature_def"].items()
                    if _is_numbers(one)
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise MalformedError(f"{self._where}: the reply describes no model: {e!r}") from e

    def run(self, asked: Question) -> tuple[int, dict[str, Array]]:
        inputs = [
            _input(spec.name, spec.shape, DATATYPES[spec.dtype], array.nbytes)
            for spec, array in zip(asked.specs, asked.arrays, strict=True)
        ]
        parts = [array.tobytes() for array in asked.arrays]
        parameters = {"signature_name": asked.signature}
        return self._infer(asked.model, asked.release, inputs, parts, parameters)

    def look(self, asked: Look) -> dict[str, Array]:
        body = elements.pack(asked.files)
        inputs = [_input("image_bytes", [len(asked.files)], _BYTES, len(body))]
        wish = {"top": asked.top, "threshold": asked.threshold}
        parameters = {name: value for name, value in wish.items() if value is not None}
        return self._infer(asked.model, asked.release, inputs, [body], parameters)[1]

    def _infer(
        self,
        model: str,
        release: int | None,
        inputs: list[dict[str, Any]],
        parts: list[bytes],
        parameters: Mapping[str, Any],
    ) -> tuple[int, dict[str, Array]]:
        usual = {"binary_data_output": True, "timeout": self._timeout_us}
        head = json.dumps({"inputs": inputs, "parameters": usual | dict(parameters)}).encode()
        version = "" if release is None else f"/versions/{release}"
        path = f"/v2/models/{quote(model, safe='')}{version}/infer"
        body = b"".join((head, *parts))
        size, reply = self._ask("POST", path, body, {_HEAD_BYTES: str(len(head))})
        try:
            return _outputs(reply, len(reply) if size is None else int(size))
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise MalformedError(f"{self._where}: the reply holds no outputs: {e!r}") from e

    def close(self) -> None:
        self._connection.close()

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[str | None, bytes]:
        """Return how long the reply's head is, where it is told, and the reply."""
        asked = method, path, body, headers or {}
        try:
            try:
                response = self._once(*asked)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # The server closed the connection while it was idle, or was restarted.
                self._connection.close()
                response = self._once(*asked)
            reply = response.read(MOST_BYTES + 1)
        except OSError as e:
            self._connection.close()
            raise unreachable(self._where, e) from e
        except http.client.HTTPException as e:
            self._connection.close()
            raise UnreachableError(
                f"{self._where}: what answers there speaks no HTTP; is it serve's gRPC?"
            ) from e
        if len(reply) > MOST_BYTES:
            self._connection.close()
            raise MalformedError(f"{self._where}: the reply has more than {MOST_BYTES} bytes")
        if response.status != HTTPStatus.OK:
            raise self._no(response.status, reply)
        return response.getheader(_HEAD_BYTES), reply

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._connection.request(method, path, body, headers)
        return self._connection.getresponse()

    def _no(self, status: int, reply: bytes) -> LittoralError:
        try:
            words = json.loads(reply)["error"]
        except (ValueError, KeyError, TypeError):
            words = reply[:200].decode(errors="replace").strip()
        told = words or f"status {status}"
        return failure(_CODES.get(status, "denied"), f"{self._where}: {told}")


def _is_numbers(signature: dict[str, Any]) -> bool:
    """Tell whether all of it are arrays whose instances have a shape: a picture's file has none."""
    tensors = (*signature["inputs"].values(), *signature["outputs"].values())
    return all(
        one["dtype"] != "DT_STRING" and min(_shape(one)[1:], default=0) >= 0 for one in tensors
    )


def _shape(told: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(dim["size"]) for dim in told["tensor_shape"].get("dim", []))


def _specs(told: dict[str, Any]) -> tuple[Spec, ...]:
    return tuple(
        Shown(
            name,
            cast("Dtype", _PLAIN.get(one["dtype"]) or one["dtype"].removeprefix("DT_").lower()),
            _shape(one),
        )
        for name, one in told.items()
    )


def _input(name: str, shape: Sequence[int], datatype: str, nbytes: int) -> dict[str, Any]:
    told = {"name": name, "shape": shape, "datatype": datatype}
    return told | {"parameters": {"binary_data_size": nbytes}}


def _outputs(reply: bytes, head_bytes: int) -> tuple[int, dict[str, Array]]:
    head = json.loads(reply[:head_bytes])
    found: dict[str, Array] = {}
    at = head_bytes
    for one in head["outputs"]:
        name, shape = one["name"], one["shape"]
        end = at + one["parameters"]["binary_data_size"]
        if one["datatype"] == _BYTES:
            found[name] = column(name, reply[at:end], shape)
        else:
            values = np.frombuffer(reply[at:end], _DTYPES[one["datatype"]])
            found[name] = values.reshape(shape).copy()
        at = end
    return int(head["model_version"]), found


def column(name: str, data: bytes, shape: Sequence[int]) -> Array:
    """Return elements as text, those of a name that ends in ``_bytes`` as bytes.

    Raises:
        ValueError: They are cut short, are not as many, or no text.

    """
    found = [*elements.unpack(data)]
    if name.endswith("_bytes"):
        made = np.empty(len(found), object)
        made[:] = found
    else:
        made = np.array([one.decode() for one in found], str)
    return made.reshape(shape)
