"""The console's REST API as the command line asks it: urllib3, and errors as they were meant.

Whom one is logged in to stands in one file, 0600: ``$LITTORAL_FLEET``, else
``~/.config/littoral/fleet.json``.
"""

import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import urllib3

from littoral import durable, records
from littoral.errors import (
    DeniedError,
    LittoralError,
    MalformedError,
    MisuseError,
    UnreachableError,
    every,
)

ENVIRONMENT: Final = "LITTORAL_FLEET"
_MAX_BYTES: Final = 64 * 2**20
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """To whom one is logged in."""

    url: str
    token: str
    username: str
    ca: str | None = None  # PEM, where the console's certificate is of its own authority


def login_file() -> Path:
    """Return where the login is kept."""
    found = os.environ.get(ENVIRONMENT)
    return Path(found) if found else Path.home() / ".config" / "littoral" / "fleet.json"


def read_login() -> Login:
    """Return the login. Raises MisuseError when there is none."""
    path = login_file()
    try:
        return records.from_json(Login, path.read_bytes(), limit=64 * 1024)
    except FileNotFoundError as e:
        raise MisuseError("not logged in; run: littoral fleet login URL") from e
    except (OSError, records.RecordError) as e:
        raise MisuseError(f"{path}: {e}; run: littoral fleet login URL") from e


def write_login(login: Login) -> Path:
    """Keep the login; return where."""
    path = login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.replace(path, records.to_json(login))
    return path


class Console:
    """A console at ``url``. Each method raises what the console refuses with."""

    def __init__(self, url: str, *, token: str | None = None, ca: str | None = None) -> None:
        self._url = url.rstrip("/")
        context = ssl.create_default_context(cadata=ca) if ca else None
        self._pool = urllib3.PoolManager(ssl_context=context, timeout=_TIMEOUT, retries=False)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401
        """Return what lies at ``path``; a query of the value None is left out."""
        words = [
            (name, one)
            for name, value in query.items()
            if value is not None
            for one in (value if isinstance(value, list | tuple) else (value,))
        ]
        return self._ask("GET", f"{path}?{urlencode(words)}" if words else path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        return self._ask("POST", path, body=body)

    def post_bytes(self, path: str, data: bytes) -> Any:  # noqa: ANN401
        """Send JSON that is there as bytes, as it is."""
        return self._send("POST", path, data)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return self._ask("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def put_file(self, path: str, file: Path) -> None:
        """Send ``file`` as it is."""
        with file.open("rb") as data:
            length = {"Content-Length": str(os.fstat(data.fileno()).st_size)}
            self._request("PUT", path, body=data, headers=length)

    def _ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        return self._send(method, path, None if body is None else json.dumps(body).encode())

    def _send(self, method: str, path: str, data: bytes | None) -> Any:  # noqa: ANN401
        headers = {} if data is None else {"Content-Type": "application/json"}
        reply = self._request(method, path, body=data, headers=headers)
        try:
            return json.loads(reply) if reply else None
        except ValueError as e:
            raise MalformedError(f"{self._url}: no console answers there") from e

    def _request(self, method: str, path: str, *, body: Any, headers: Mapping[str, str]) -> bytes:  # noqa: ANN401
        with _transport_errors(self._url):
            response = self._pool.request(
                method,
                f"{self._url}/api/v1/{quote(path, safe='/?=&%+,:')}",
                body=body,
                headers={**self._headers, **headers},
                redirect=False,
                preload_content=False,
            )
            try:
                data = response.read(_MAX_BYTES)
            finally:
                response.release_conn()
        if response.status >= 300:  # noqa: PLR2004
            raise _refusal(self._url, response.status, data)
        return data


def by_code(code: str, words: str) -> LittoralError:
    """Return the error of our tree that has ``code``, with the words of whoever raised it."""
    kinds = {kind.code: kind for kind in reversed(list(every()))}
    kind = kinds.get(code, LittoralError)
    error = kind.__new__(kind)
    error.args = (words,)
    return error


@contextmanager
def _transport_errors(url: str) -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.LocationValueError as e:
        raise MisuseError(f"{url}: expected a URL like http://127.0.0.1:8080") from e
    except urllib3.exceptions.SSLError as e:
        raise DeniedError(
            f"{url}: its certificate is not believed ({e}); "
            "log in with --ca FILE, a copy of the console's DATA/tls/console-ca.crt"
        ) from e
    except urllib3.exceptions.HTTPError as e:
        hint = "is it running?"
        if url.startswith("http://") and isinstance(e, urllib3.exceptions.ProtocolError):
            hint = "is it there over TLS, by https://?"  # somebody hung up without a word
        raise UnreachableError(f"{url}: no console answers there; {hint}") from e


def _refusal(url: str, status: int, data: bytes) -> LittoralError:
    try:
        said = json.loads(data)
        code, words = str(said["code"]), str(said["error"])
    except (ValueError, KeyError, TypeError):
        return MalformedError(f"{url}: expected a console, found something that says {status}")
    if status == 401:  # noqa: PLR2004
        return DeniedError(f"{url}: {words}; run: littoral fleet login {url}")
    return by_code(code, words)
