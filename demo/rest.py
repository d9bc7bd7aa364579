"""HTTP and JSON in as few lines as the story needs, over one connection that is kept."""

import http.client
import json
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from stage import UnmetError


class Rest:
    """Asks one server. Not safe to share between threads."""

    def __init__(self, url: str, *, bearer: str | None = None, within_s: float = 30) -> None:
        self.url, self._bearer = url.rstrip("/"), bearer
        where = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(
            where.hostname or "127.0.0.1", where.port, timeout=within_s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Return the status and the body. Raises OSError or HTTPException."""
        headers = {"Authorization": f"Bearer {self._bearer}"} if self._bearer else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, body, headers)
            reply = self._connection.getresponse()
            return reply.status, reply.read()
        except BaseException:
            self._connection.close()  # the next request opens another one
            raise

    def ask(self, method: str, path: str, value: object = None) -> Any:  # noqa: ANN401
        """Return the answer's JSON. Raises UnmetError for any status but 2xx."""
        body = None if value is None else json.dumps(value).encode()
        try:
            status, answer = self.raw(method, path, body)
        except http.client.HTTPException as e:
            raise UnmetError(f"an answer to {method} {self.url}{path}", repr(e)) from e
        if status // 100 != 2:
            raise UnmetError(f"2xx for {method} {path}", f"{status}: {answer[:300]!r}")
        return json.loads(answer) if answer else None

    def get(self, path: str) -> Any:  # noqa: ANN401
        return self.ask("GET", path)

    def post(self, path: str, value: object) -> Any:  # noqa: ANN401
        return self.ask("POST", path, value)


def predict(url: str, model: str, instances: list[Any]) -> list[list[float]]:
    """Return the predictions, as the TensorFlow Serving REST API has them."""
    with Rest(url) as serve:
        answer = serve.post(f"/v1/models/{model}:predict", {"instances": instances})
    found: list[list[float]] = answer["predictions"]
    return found
