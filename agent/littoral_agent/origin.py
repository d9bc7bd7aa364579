"""A server as the device reaches it over HTTPS: one pool of connections, capped answers.

That nobody answers, or that the server is broken or busy, is UnreachableError: the same may be
asked again. What a server refuses is a Reply, whose status the caller judges.
"""

import contextlib
import http
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from littoral.errors import (
    EndlessError,
    HashError,
    SettingsError,
    SlowError,
    UnreachableError,
)
from littoral_agent import tls
from littoral_agent.reply import MAX_FAILURE, Reply, check_file, forgotten
from littoral_agent.routes import Proxy
from littoral_agent.streams import CHUNK_BYTES, LEAST_BYTES_PER_S, SLOW_OVER_S, Stream
from littoral_agent.tls import Public

if TYPE_CHECKING:
    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

CONNECT_S: Final = 10.0
READ_S: Final = 30.0
_GIVEN: Final = {http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT}
_BUSY: Final = {http.HTTPStatus.REQUEST_TIMEOUT, http.HTTPStatus.TOO_MANY_REQUESTS}


class Origin:
    """The server at ``url``, whom ``ca`` named, through ``proxy``. Threads may share it."""

    def __init__(
        self, url: str, *, ca: Path | str | Public | None, proxy: Proxy | None = None
    ) -> None:
        self.url, self._ca = url.rstrip("/"), ca
        through = proxy is not None and proxy.serves(urlsplit(self.url).hostname or "")
        self._proxy = proxy if through else None
        self._lock = threading.Lock()
        self._made: PoolManager | None = None

    @property
    def _pool(self) -> "PoolManager":
        """Return the pool, made when it is first needed: over a broker that may be never."""
        from urllib3 import PoolManager, disable_warnings
        from urllib3.exceptions import InsecureRequestWarning, SystemTimeWarning

        from littoral_agent import heads

        with self._lock:
            if self._made is None:
                disable_warnings(SystemTimeWarning)  # the system's clock is not what TLS goes by
                if self._ca is None:
                    disable_warnings(InsecureRequestWarning)  # what it brings is checked by digest
                secured = self.url.startswith("https:")
                self._made = PoolManager(
                    num_pools=2,
                    maxsize=4,
                    ssl_context=tls.context(self._ca) if secured else None,
                    headers={"User-Agent": "littoral-agent", "Accept-Encoding": "identity"},
                )
                self._made.pool_classes_by_scheme = heads.by_scheme(self._proxy, within_s=CONNECT_S)
            return self._made

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            if self._made is not None:
                self._made.clear()

    def get(
        self,
        path: str,
        *,
        limit: int,
        headers: Mapping[str, str] | None = None,
        read_s: float = READ_S,
    ) -> Reply:
        """Return what lies at ``path``, of at most ``limit`` bytes.

        Raises:
            UnreachableError: Nobody answers, or not to the end.
            EndlessError: It is longer.
            SlowError: It comes so slowly that it might never end.

        """
        return self._ask("GET", path, body=None, limit=limit, headers=headers, read_s=read_s)

    def post(
        self, path: str, body: bytes, *, limit: int, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send ``body``, and return the answer. Raises as ``get``."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        return self._ask("POST", path, body=body, limit=limit, headers=headers, read_s=READ_S)

    @contextmanager
    def stream(self, path: str, *, start: int = 0, lent: bool = False) -> Iterator[Stream]:
        """Open the file at ``path``, from byte ``start`` if the server can.

        It is ``lent`` where somebody else sent us there.

        Raises:
            ForgottenError: The server does not hold it.
            HashError: It is shorter than that.
            UnreachableError: As ``get``; so may each chunk.

        """
        headers = {"Range": f"bytes={start}-"} if start else None
        with self._open("GET", path, body=None, headers=headers, read_s=READ_S) as response:
            if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise HashError(
                    _shown(path), signed=f"more than {start}", found="less", kind="length"
                )
            chunks, end = self._chunks(path, response), partial(_end, response)
            if response.status in _GIVEN:
                check_file(_shown(path), response.headers)
            if response.status == http.HTTPStatus.PARTIAL_CONTENT:
                yield Stream(*_content_range(_shown(path), response), chunks, end)
            elif response.status == http.HTTPStatus.OK:
                yield Stream(0, response.length_remaining, chunks, end)
            else:
                with self._errors():
                    words = _capped(path, response, MAX_FAILURE)
                reply = Reply(response.status, words, response.headers)
                raise forgotten(_shown(path), reply, lent=lent)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None,
        limit: int,
        headers: Mapping[str, str] | None,
        read_s: float,
    ) -> Reply:
        with self._open(method, path, body=body, headers=headers, read_s=read_s) as response:
            if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                with self._errors():  # a refusal may be a page: no more of it is read
                    words = _capped(path, response, MAX_FAILURE)
                return Reply(response.status, words, response.headers)
            if (response.length_remaining or 0) > limit:
                raise EndlessError(_shown(path), limit=limit)
            with self._errors():
                data = _capped(path, response, limit)
            if len(data) > limit:
                raise EndlessError(_shown(path), limit=limit)
            return Reply(response.status, data, response.headers)

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        read_s: float,
    ) -> Iterator["BaseHTTPResponse"]:
        from urllib3.exceptions import ProtocolError
        from urllib3.util import Timeout

        with self._errors():
            pool = self._pool
            ask = partial(
                pool.request,
                method,
                f"{self.url}/{path.lstrip('/')}",
                body=body,
                headers={**pool.headers, **(headers or {})},
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=Timeout(connect=CONNECT_S, read=read_s),
            )
            try:
                response = ask()
            except ProtocolError:
                if method != "GET":
                    raise
                response = ask()  # of a connection that was kept, its server may just have let go
        done = False
        try:
            if response.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR or response.status in _BUSY:
                raise UnreachableError(f"{self.url}: {_shown(path)}: status {response.status}")
            yield response
            done = response.closed  # read to its end, with a length or in chunks
        finally:
            if done:
                response.release_conn()
            else:
                response.close()

    def _chunks(self, path: str, response: "BaseHTTPResponse") -> Iterator[bytes]:
        with self._errors(path):
            while chunk := response.read1(CHUNK_BYTES):
                yield chunk

    @contextmanager
    def _errors(self, path: str = "") -> Iterator[None]:
        """Turn what urllib3 raises into who does not answer."""
        from urllib3.exceptions import HTTPError, SSLError

        where = f"{self.url}/{_shown(path)}" if path else self.url
        try:
            yield
        except SettingsError as e:  # whom to believe cannot be read: others need not wait for it
            raise UnreachableError(f"{where} cannot be asked: {e}") from e
        except SSLError as e:
            hint = _stranger(str(e), public=isinstance(self._ca, Public))
            raise UnreachableError(f"{where}: no secure connection ({e}); {hint}") from e
        except (HTTPError, OSError) as e:
            raise UnreachableError(f"{where} does not answer ({_brief(e)})") from e


def _end(response: "BaseHTTPResponse") -> None:
    """Let whoever reads ``response`` in another thread read no more."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has just ended by itself
        response.shutdown()


def _capped(path: str, response: "BaseHTTPResponse", limit: int) -> bytes:
    """Read to the end, or one byte more than ``limit``, at no less than the lowest rate."""
    data, since, came = bytearray(), time.monotonic(), 0
    while len(data) <= limit and (chunk := response.read1(min(limit + 1 - len(data), CHUNK_BYTES))):
        data += chunk
        came += len(chunk)
        passed = time.monotonic() - since
        if passed < SLOW_OVER_S:
            continue
        if came < passed * LEAST_BYTES_PER_S:
            raise SlowError(f"{path}: {came / passed:.0f} bytes a second")
        since, came = time.monotonic(), 0  # what came at first is no credit for later
    return bytes(data)


def _content_range(path: str, response: "BaseHTTPResponse") -> tuple[int, int | None]:
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    try:
        if unit != "bytes":
            raise ValueError(unit)  # noqa: TRY301
        return int(span.partition("-")[0]), None if total == "*" else int(total)
    except ValueError as e:
        raise UnreachableError(f"{path}: a part of the file, but of no known place") from e


def _stranger(words: str, *, public: bool) -> str:
    """Return what may be wrong with who answered, and could not prove who he is."""
    if public:
        return (
            "a captive portal, or a server whom this system's CAs do not name: "
            "install ca-certificates, or name its CA as sources_ca"
        )
    if "not valid for" in words:
        return "say a name that the console was started with, as --name"
    return "is it the console whose token this was?"


def _shown(path: str) -> str:
    """Return ``path`` without what may be a secret: an address that is signed holds its right."""
    return path.partition("?")[0]


def _brief(error: Exception) -> str:
    """Return the last part of what urllib3 says: before it stand objects."""
    text = " ".join(str(error).split())
    return text.rpartition("): ")[2].rpartition(">: ")[2] or type(error).__name__
