"""The console's listener for devices, as small as it can be, over real TLS.

with ListenerSimulator(tmp_path, repo) as console:
    console.url                            # https://127.0.0.1:…
    console.desire("pi-7", document)       # what a long poll gets
    console.taken                          # what was committed, each key once
    console.token("pi-7")                  # an enrolment token; it admits one device, once
    console.stop(); console.start()        # the console dies and comes back on its port

It checks what a console checks: tokens, the device's certificate, the signed nonce, the bearer.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509

from littoral import records
from littoral.errors import LittoralError
from littoral.trust import certificates
from littoral.trust.certificates import Authority
from littoral.trust.identity import check_device, digest, key_digest
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import check_session, sign_time
from littoral.wire.enrolment import Enrolled, EnrollRequest, Session, SessionRequest, Token, Waiting
from littoral.wire.messages import Acks, Key, Post, Status
from littoral.wire.telemetry import Telemetry
from simulators.broker import ConsoleCa, free_port
from simulators.repository import RepositorySimulator

LIMIT = 4 * 2**20


class RefusedRequestError(Exception):
    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(error)
        self.status, self.code = status, code


class WaitsError(Exception):
    def __init__(self, waiting: Waiting) -> None:
        super().__init__("an operator decides first")
        self.waiting = waiting


class ListenerSimulator:
    def __init__(self, folder: Path, repo: RepositorySimulator) -> None:
        self.repo, self.tls, self.port = repo, ConsoleCa(folder / "tls"), free_port()
        self.broker: str | None = None
        self.deaf = False
        self.bearer_s = 600.0
        self.taken: dict[Key, bytes] = {}
        self.statuses: dict[str, Status] = {}
        self.asked: list[str] = []
        self.tokens: dict[str, str | None] = {}  # secret: the device it admits; None: used
        self.admitted: dict[str, tuple[str, bytes]] = {}  # secret: by which key, and the answer
        self.claimed: set[str] = set()  # secrets that an operator has to approve
        self.requests: list[EnrollRequest] = []
        self.incarnations: dict[str, int] = {}
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._desired: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._news = threading.Condition()
        self._nonces: set[str] = set()
        self._bearers: dict[str, tuple[str, float]] = {}
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def device_ca(self) -> Authority:
        return Authority.load(
            self.repo.online / "device-ca.pem", self.repo.online / "device-ca.crt"
        )

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _handler(self), self.tls)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        with self._news:
            server, self._server = self._server, None
            self._news.notify_all()
        if server is not None:
            server.shutdown()
            server.server_close()
            server.hang_up()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def token(self, device: str, *, approve: bool = False) -> str:
        secret = secrets.token_urlsafe(16)
        self.tokens[secret] = device
        if approve:
            self.claimed.add(secret)
        return self.token_of(secret)

    def approve(self) -> None:
        """Let everybody in who waits."""
        self.claimed.clear()

    def token_of(self, secret: str) -> str:
        ca = x509.load_pem_x509_certificate(self.tls.ca.read_bytes())
        root = self.repo.read("metadata/root.json")
        return Token(
            secret=secret,
            fleet=self.repo.fleet,
            root_sha256=hashlib.sha256(root).hexdigest(),
            console_ca_sha256=digest(ca),
        ).encode()

    def desire(self, device: str, document: bytes) -> None:
        with self._news:
            self._desired[device] = document
            self._versions[device] = json.loads(document)["signed"]["version"]
            self._news.notify_all()

    def forget_sessions(self) -> None:
        self._bearers.clear()

    # What it answers.

    def get(self, path: str, headers: "Message[str, str]") -> bytes | None:
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        match parts.path:
            case "/enroll/ca":
                return self.tls.ca.read_bytes()
            case "/time":
                now_ms = int(self.clock().timestamp() * 1000)
                signer = load_signer(self.repo.online / "time.pem")
                return records.to_json(sign_time(signer, query["nonce"], utc_ms=now_ms))
            case "/device/nonce":
                nonce = secrets.token_hex(16)
                self._nonces.add(nonce)
                return json.dumps({"nonce": nonce}).encode()
            case "/device/desired":
                return self._wait(self._device(headers), query)
            case _:
                raise RefusedRequestError(404, "not-found", f"no {path}")

    def post(self, path: str, headers: "Message[str, str]", body: bytes) -> bytes:
        match path:
            case "/enroll":
                return self._enroll(records.from_json(EnrollRequest, body, limit=LIMIT))
            case "/device/session":
                return self._session(records.from_json(SessionRequest, body, limit=LIMIT))
            case "/device/messages":
                return self._take(self._device(headers), Post.from_json(body))
            case _:
                raise RefusedRequestError(404, "not-found", f"no {path}")

    def _wait(self, device: str, query: dict[str, str]) -> bytes | None:
        after, until = int(query["after"]), time.monotonic() + float(query["wait_s"])
        with self._news:
            while self._server is not None and self._versions.get(device, 0) <= after:
                if not self._news.wait(until - time.monotonic()):
                    return None
            return self._desired.get(device)

    def _enroll(self, request: EnrollRequest) -> bytes:
        self.requests.append(request)
        if request.secret not in self.tokens:
            raise RefusedRequestError(403, "denied", "no such token; ask for another")
        key = key_digest(certificates.requested(request.csr))
        if self.tokens[request.secret] is None:
            by, answer = self.admitted.get(request.secret, (None, b""))
            if by == key:
                return answer  # it was lost on its way, and the same is said again
            raise RefusedRequestError(403, "denied", "the token was used; ask for another")
        if request.secret in self.claimed:
            raise WaitsError(Waiting(claim=3, device=request.device, retry_s=0.05))
        device = request.device if request.named else str(self.tokens[request.secret])
        self.tokens[request.secret] = None
        incarnation = self.incarnations[device] = self.incarnations.get(device, 0) + 1
        certificate = certificates.issue_device(
            request.csr,
            fleet=self.repo.fleet,
            device=device,
            incarnation=incarnation,
            ca=self.device_ca,
            now=datetime.now(UTC),
        )
        answer = records.to_json(
            Enrolled(
                device=device,
                fleet=self.repo.fleet,
                incarnation=incarnation,
                certificate=certificate,
                device_ca=(self.repo.offline / "device-ca.crt").read_text(),
                broker=self.broker,
            )
        )
        self.admitted[request.secret] = (key, answer)
        return answer

    def _session(self, request: SessionRequest) -> bytes:
        if request.nonce not in self._nonces:
            raise RefusedRequestError(403, "denied", "no such nonce")
        self._nonces.discard(request.nonce)
        who = check_device(request.certificate, root=self.device_ca.root, now=datetime.now(UTC))
        check_session(request.nonce, request.signature, certificate=who.certificate)
        bearer = secrets.token_urlsafe(16)
        self._bearers[bearer] = (who.device, time.monotonic() + self.bearer_s)
        return records.to_json(Session(bearer=bearer, expires_s=self.bearer_s, broker=self.broker))

    def _device(self, headers: "Message[str, str]") -> str:
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        device, until = self._bearers.get(bearer, ("", 0.0))
        if time.monotonic() >= until:
            raise RefusedRequestError(401, "denied", "expected a bearer")
        return device

    def _take(self, device: str, post: Post) -> bytes:
        if self.deaf:
            raise RefusedRequestError(503, "busy", "the database is away")
        if post.status is not None:
            self.statuses[device] = post.status
        for report in post.reports:
            self.taken.setdefault(report.key, report.to_json())
        for encoded in post.telemetry:
            data = base64.b64decode(encoded)
            self.taken.setdefault(Telemetry.decode(data).key, data)
        acks: dict[str, int] = {}
        for key in sorted(self.taken, key=lambda k: (k.stream, k.sequence)):
            if key.device == device and key.sequence == acks.get(key.stream, 0) + 1:
                acks[key.stream] = key.sequence
        return Acks(acks=acks).to_json()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: Any, tls: ConsoleCa) -> None:
        super().__init__(address, handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        self._context = context
        self._links: set[Any] = set()

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._context.wrap_socket(request, server_side=True) as link:
            self._links.add(link)
            try:
                super().finish_request(link, client_address)
            finally:
                self._links.discard(link)

    def hang_up(self) -> None:
        """End every connection, as the death of a process does."""
        for link in list(self._links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is nobody's error here."""


def _handler(console: ListenerSimulator) -> type["_Handler"]:
    return type("Handler", (_Handler,), {"console": console})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    console: ListenerSimulator

    def do_GET(self) -> None:
        if self.path.startswith("/repo/"):
            self._repository(self.path.removeprefix("/repo/"))
        else:
            self._answer(lambda: self.console.get(self.path, self.headers))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(lambda: self.console.post(self.path, self.headers, body))

    def _repository(self, name: str) -> None:
        """Hand on what the repository's own simulator answers, faults and all."""
        at = urlsplit(self.console.repo.url)
        asked = self.headers.get("Range")
        link = http.client.HTTPConnection(at.hostname or "", at.port, timeout=30)
        with contextlib.closing(link):
            link.request("GET", f"/{name}", headers={"Range": asked} if asked else {})
            with link.getresponse() as reply:
                self.send_response(reply.status)
                for key in ("Content-Length", "Content-Range"):
                    if (value := reply.headers.get(key)) is not None:
                        self.send_header(key, value)
                self.end_headers()
                while chunk := reply.read1(65536):
                    self.wfile.write(chunk)

    def _answer(self, ask: Callable[[], bytes | None]) -> None:
        self.console.asked.append(urlsplit(self.path).path)
        try:
            body = ask()
            status = 200 if body is not None else 204
        except WaitsError as e:
            status, body = 202, records.to_json(e.waiting)
        except RefusedRequestError as e:
            status = e.status
            body = json.dumps({"code": e.code, "error": str(e)}).encode()
        except (LittoralError, records.RecordError) as e:
            status = 400
            body = json.dumps({"code": "malformed", "error": str(e)}).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass
