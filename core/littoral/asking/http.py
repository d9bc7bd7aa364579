"""The Open Inference Protocol over HTTP, with binary tensors.

What a model takes is asked of TensorFlow Serving's metadata, which name all signatures.
"""

import http.client
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import numpy as np

from littoral.asking.question import MOST_BYTES, Array, Question, failure
from littoral.errors import LittoralError, MalformedError, UnreachableError
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
_HEAD_BYTES: Final = "Inference-Header-Content-Length"


class HttpLine:
    """One connection, kept open."""

    def __init__(self, host: str, port: int | None, *, timeout_s: float) -> None:
        self._where = f"http://{host}:{port or 80}"
        self._timeout_us = max(1, int(timeout_s * 1e6))
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

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
        head = json.dumps(
            {
                "inputs": [
                    {
                        "name": spec.name,
                        "shape": spec.shape,
                        "datatype": DATATYPES[spec.dtype],
                        "parameters": {"binary_data_size": array.nbytes},
                    }
                    for spec, array in zip(asked.specs, asked.arrays, strict=True)
                ],
                "parameters": {
                    "binary_data_output": True,
                    "signature_name": asked.signature,
                    "timeout": self._timeout_us,
                },
            }
        ).encode()
        version = "" if asked.release is None else f"/versions/{asked.release}"
        path = f"/v2/models/{quote(asked.model, safe='')}{version}/infer"
        body = b"".join((head, *(array.tobytes() for array in asked.arrays)))
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
        except (OSError, http.client.HTTPException) as e:
            self._connection.close()
            raise UnreachableError(f"{self._where}: {e!r}; is it running?") from e
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
    """Tell whether all of it are arrays of a known shape: a picture's file is none."""
    tensors = (*signature["inputs"].values(), *signature["outputs"].values())
    return all(
        one["dtype"] != "DT_STRING" and all(int(dim["size"]) >= 0 for dim in _dims(one))
        for one in tensors
    )


def _dims(told: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told["tensor_shape"].get("dim", [])
    return found


def _specs(told: dict[str, Any]) -> tuple[Spec, ...]:
    return tuple(
        Spec(
            name,
            cast("Dtype", _PLAIN.get(one["dtype"]) or one["dtype"].removeprefix("DT_").lower()),
            tuple(int(dim["size"]) for dim in _dims(one)),
        )
        for name, one in told.items()
    )


def _outputs(reply: bytes, head_bytes: int) -> tuple[int, dict[str, Array]]:
    head = json.loads(reply[:head_bytes])
    found: dict[str, Array] = {}
    at = head_bytes
    for one in head["outputs"]:
        size = one["parameters"]["binary_data_size"]
        values = np.frombuffer(reply[at : at + size], _DTYPES[one["datatype"]])
        found[one["name"]] = values.reshape(one["shape"]).copy()
        at += size
    return int(head["model_version"]), found
