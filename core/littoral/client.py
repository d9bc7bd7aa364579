"""Talk to a serve, NumPy in and NumPy out: TensorFlow Serving's REST over HTTP or a Unix socket.

with Client("http://127.0.0.1:8501") as client:
    scores = client.predict("digits", images)  # images: [n, 8, 8, 1]
"""

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from littoral.errors import DeniedError, MalformedError, MisuseError, UnreachableError
from littoral.local import LocalConnection

Arrays = NDArray[Any] | dict[str, NDArray[Any]]

_MAX_REPLY_BYTES: Final = 256 * 1024 * 1024


class Client:
    """One connection, kept open. Not safe to share between threads."""

    def __init__(self, url: str = "http://127.0.0.1:8501", *, timeout_s: float = 30.0) -> None:
        """Open nothing yet. ``url`` is ``http://host:port`` or ``unix:///path/of/serve.sock``."""
        self._url = url
        self._connection = _connection(url, timeout_s)

    def predict(
        self,
        model: str,
        inputs: ArrayLike | Mapping[str, ArrayLike],
        *,
        release: int | None = None,
        signature: str | None = None,
    ) -> Arrays:
        """Return the outputs for a batch of ``inputs``; of several, by name.

        Real outputs come as float32, stored ones (signature ``raw``) as integers.

        Raises:
            DeniedError: There is no such model or release, or it does not take such inputs.
            UnreachableError: The server does not answer.
            MalformedError: It answers something else.

        """
        if isinstance(inputs, Mapping):
            column: Any = {name: np.asarray(value).tolist() for name, value in inputs.items()}
        else:
            column = np.asarray(inputs).tolist()
        body = (
            {"inputs": column}
            if signature is None
            else {
                "signature_name": signature,
                "inputs": column,
            }
        )
        version = "" if release is None else f"/versions/{release}"
        reply = self._ask("POST", f"/v1/models/{quote(model)}{version}:predict", body)
        try:
            outputs = reply["outputs"]
            if isinstance(outputs, dict):
                return {name: _array(value) for name, value in outputs.items()}
            return _array(outputs)
        except (KeyError, TypeError, ValueError) as e:
            raise MalformedError(f"{self._url}: the reply holds no outputs: {e!r}") from e

    def release(self, model: str) -> int:
        """Return the release of ``model`` that answers now. Raises as ``predict``."""
        reply = self._ask("GET", f"/v1/models/{quote(model)}", None)
        try:
            return max(int(one["version"]) for one in reply["model_version_status"])
        except (KeyError, TypeError, ValueError) as e:
            raise MalformedError(f"{self._url}: the reply holds no version: {e!r}") from e

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401
        data = None if body is None else json.dumps(body).encode()
        try:
            try:
                status, reply = self._once(method, path, data)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # The server closed the connection while it was idle, or was restarted.
                self._connection.close()
                status, reply = self._once(method, path, data)
        except (OSError, http.client.HTTPException) as e:
            self._connection.close()
            raise UnreachableError(f"{self._url}: {e!r}; is it running?") from e
        try:
            document = json.loads(reply)
        except ValueError:
            document = {"error": reply[:200].decode(errors="replace").strip()}
        if status != http.HTTPStatus.OK:
            words = document.get("error") if isinstance(document, dict) else None
            raise DeniedError(f"{self._url}: {words or f'status {status}'}")
        return document

    def _once(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, data, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        reply = response.read(_MAX_REPLY_BYTES + 1)
        if len(reply) > _MAX_REPLY_BYTES:
            raise http.client.HTTPException(f"more than {_MAX_REPLY_BYTES} bytes")
        return response.status, reply


def _connection(url: str, timeout_s: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix" and parts.path:
            return LocalConnection(Path(parts.path), timeout_s=timeout_s)
        if parts.scheme == "http" and parts.hostname:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    except ValueError as e:
        raise MisuseError(f"{url!r}: {e}") from e
    raise MisuseError(f"expected http://host:port or unix:///path, found {url!r}")


def _array(value: Any) -> NDArray[Any]:  # noqa: ANN401
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"expected numbers, found {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array
