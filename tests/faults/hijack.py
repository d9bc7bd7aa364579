"""What stands between a device and its console, and in whose hands that is.

It answers under the console's own certificate, as who stole that could. The repository and the
director's word are what the test says; all else goes to the real console and back, unread.
"""

import contextlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from simulators.repository import RepositorySimulator

WAIT_S: Final = 1.0  # of a poll to which there is nothing to say
DRIP_S: Final = 0.02  # between two bytes of an answer that hardly comes

How = Literal["whole", "endless", "slow"]


class Hijack:
    """An HTTPS server before the console at ``console``, whose server keys lie in ``tls``."""

    def __init__(self, console: str, tls: Path, repo: RepositorySimulator) -> None:
        self.console, self.repo = urlsplit(console), repo
        self.context = ssl._create_unverified_context()
        self.stopped = threading.Event()
        self._news = threading.Condition()
        self._said: tuple[bytes, How] | None = None
        self._server = _Server(self, tls)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def say(self, document: bytes, how: How = "whole") -> None:
        """Let the next poll, and every one until it arrived whole, be answered so."""
        with self._news:
            self._said = (document, how)
            self._news.notify_all()

    def next(self) -> tuple[bytes, How] | None:
        """Return what is to be said now, None if nothing is for a while."""
        with self._news:
            self._news.wait_for(lambda: self._said is not None or self.stopped.is_set(), WAIT_S)
            said = self._said
            if said is not None and said[1] == "whole":
                self._said = None
            return said

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hijack: Hijack, tls: Path) -> None:
        self.hijack = hijack
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(tls / "server.crt", tls / "server.key")
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._context.wrap_socket(request, server_side=True) as link:
            super().finish_request(link, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is nobody's error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith("/repo/"):
            at = urlsplit(self.server.hijack.repo.url)
            link = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
            self._pass_on(link, self.path.removeprefix("/repo"), b"")
        elif self.path.startswith("/device/desired"):
            self._say()
        else:
            self._ask_console(b"")

    def do_POST(self) -> None:
        self._ask_console(self.rfile.read(int(self.headers["Content-Length"])))

    def _ask_console(self, body: bytes) -> None:
        hijack = self.server.hijack
        link = http.client.HTTPSConnection(
            hijack.console.hostname or "", hijack.console.port, timeout=60, context=hijack.context
        )
        self._pass_on(link, self.path, body)

    def _pass_on(self, link: http.client.HTTPConnection, path: str, body: bytes) -> None:
        kept = {"host", "connection", "content-length"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in kept}
        with contextlib.closing(link):
            link.request(self.command, path, body or None, headers)
            with link.getresponse() as reply:
                self.send_response(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                        self.send_header(name, value)
                if reply.length is None:
                    self.send_header("Connection", "close")
                self.end_headers()
                while chunk := reply.read1(65536):
                    self.wfile.write(chunk)

    def _say(self) -> None:
        said = self.server.hijack.next()
        if said is None:
            self.send_response(204)
            self.end_headers()
            return
        document, how = said
        self.send_response(200)
        if how != "endless":
            self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.close_connection = True
        for chunk in self._chunks(document, how):
            self.wfile.write(chunk)

    def _chunks(self, document: bytes, how: How) -> Iterator[bytes]:
        if how == "whole":
            yield document
        stopped = self.server.hijack.stopped
        for i in range(len(document) if how == "slow" else 0):
            if stopped.wait(DRIP_S):
                return
            yield document[i : i + 1]
        while how == "endless" and not stopped.is_set():
            yield document

    def log_message(self, *_: object) -> None:
        pass
