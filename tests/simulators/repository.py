"""A publisher, its repository and a web server on loopback, whose honesty the test controls.

    with RepositorySimulator(tmp_path) as repo:       # keys, root, and nothing published
        repo.publish(repo.bundle("digits", 1))        # honest: copies, signs, renews
        repo.publish(path_of_a_real_bundle)           # any bundle folder will do
        repo.fault("blobs/*", Fault.CUT, times=2)     # and not so honest: the next two blobs
        repo.override["metadata/timestamp.json"] = b"replayed or forged bytes"
        repo.sign_as_stranger("metadata/2.digits.json")
        repo.fetch                                    # a littoral.trust.client.Fetch, over HTTP
        repo.url                                      # what a device would be given
        repo.requests                                 # [("blobs/ab…", "bytes=100-"), …]
    repo.time = lambda: repo.now                  # it is a console's, too, who is asked the time

The server keeps connections alive and answers Range with 206 or 416. Names are relative to the
repository, as in ``Fetch``; patterns are those of fnmatch. Faults and overrides act on the wire
alone: what lies in ``repo.folder`` stays what the publisher wrote, except for
``sign_as_stranger``, which writes there and signs snapshot and timestamp over it, as a thief
with the online keys would. ``honest`` ends them all.
"""

import enum
import hashlib
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from littoral import records
from littoral.bundle.manifest import (
    FORMAT,
    NAME,
    File,
    Hardware,
    Manifest,
    Requires,
    Selftest,
    Tensor,
    Tolerance,
    Variant,
)
from littoral.errors import EndlessError, ForgottenError, UnreachableError
from littoral.trust import writer
from littoral.trust.beliefs import Anchors, Assignment
from littoral.trust.keyfiles import load_signer
from littoral.trust.keys import sign_time
from littoral.trust.publishing import Encode
from littoral.trust.repository import Repository, releases
from littoral.trust.rules import anchors

_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_JUNK: Final = b"\0" * 65536


class Fault(enum.Enum):
    """What the server does instead of the truth."""

    FLIPPED_BIT = "one bit in the middle of the file is another"
    TRUNCATED = "half of the file, called the whole of it"
    CUT = "the whole is announced, half is sent, the connection is reset"
    ENDLESS = "the file, and then zeros for ever"
    SLOW = "one byte every `slow_s` seconds"
    SILENT = "the request is taken and never answered"
    NOT_FOUND = "404 Not Found"
    FORBIDDEN = "403 Forbidden"
    BROKEN = "500 Internal Server Error"
    REDIRECTED = "302 Found"
    UNAUTHORIZED = "401 Unauthorized"
    NO_STATUS = "299, which no standard knows"
    CUT_REFUSAL = "404, and half of the words that were announced"
    NO_RANGE = "200 and the whole file, whatever range was asked"


@dataclass
class _Armed:
    pattern: str
    fault: Fault
    times: int | None  # None: until cleared


@dataclass
class RepositorySimulator:
    """A publisher with all keys in ``base``, and its repository over HTTP."""

    base: Path
    fleet: str = "shore"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    slow_s: float = 0.05
    time: Callable[[], datetime] | None = None
    override: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)  # bytes of bodies by name

    def __post_init__(self) -> None:
        self._faults: list[_Armed] = []
        self._genuine: dict[Path, bytes] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.folder = self.base / "repo"
        self.offline, self.online = self.base / "offline", self.base / "online"
        if self.folder.exists():
            return  # a copy of another one's
        writer.init(
            self.folder, offline=self.offline, online=self.online, fleet=self.fleet, now=self.now
        )
        self.renew()

    # What an honest publisher and console do.

    @property
    def root(self) -> bytes:
        return (self.folder / "metadata" / "1.root.json").read_bytes()

    @property
    def anchors(self) -> Anchors:
        return anchors(Repository(self.folder).root())

    def bundle(
        self,
        model: str,
        release: int,
        *,
        files: Mapping[str, bytes] | None = None,
        hardware: tuple[Hardware, ...] = ("cpu-x86_64", "cpu-aarch64", "cpu-armv7l"),
    ) -> Path:
        """Write a bundle that is whole, and whose model is no model; return its folder."""
        folder = self.base / "bundles" / model / str(release)
        folder.mkdir(parents=True)
        return tiny_bundle(folder, model=model, release=release, files=files, hardware=hardware)

    def publish(
        self, bundle: Path, *, floor: int | None = None, encode: Encode | None = None
    ) -> writer.Published:
        """Publish, delegating the model first if need be, and renew."""
        model = Manifest.from_json((bundle / NAME).read_bytes()).model
        repository = Repository(self.folder)
        if model not in repository.models(repository.targets(repository.root()).signed):
            writer.delegate(self.folder, model, offline=self.offline, now=self.now)
        published = writer.publish(
            self.folder, bundle, offline=self.offline, floor=floor, encode=encode, now=self.now
        )
        self.renew()
        return published

    def renew(self) -> None:
        writer.renew(self.folder, online=self.online, now=self.now)

    def assignment(
        self, model: str, release: int, *, hardware: str = "cpu-x86_64", attempt: int = 0
    ) -> Assignment:
        """Return what the director would say of a published release."""
        repository = Repository(self.folder)
        role = repository.models(repository.targets(repository.root()).signed)[model]
        target = releases(role.signed, model)[release]
        return Assignment(
            model=model,
            release=release,
            manifest_sha256=target.hashes["sha256"],
            length=target.length,
            hardware=hardware,
            attempt=attempt,
        )

    def director(
        self, *assignments: Assignment, device: str, incarnation: int = 1, version: int = 1
    ) -> bytes:
        """Return a director document, signed by the key that root names."""
        return writer.director(
            assignments,
            signer=load_signer(self.online / "director.pem"),
            fleet=self.fleet,
            device=device,
            incarnation=incarnation,
            version=version,
            now=self.now,
        )

    # What others do.

    def fault(self, pattern: str, fault: Fault, *, times: int | None = None) -> None:
        """Answer the next ``times`` requests for ``pattern`` so; None: until ``honest``."""
        with self._lock:
            self._faults.append(_Armed(pattern, fault, times))

    def honest(self) -> None:
        """Drop all faults, overrides and forgeries."""
        with self._lock:
            self._faults.clear()
        self.override.clear()
        if self._genuine:
            for path, data in self._genuine.items():
                path.write_bytes(data)
            self._genuine.clear()
            self.renew()

    def read(self, name: str) -> bytes:
        """Return what the publisher wrote, to replay it later."""
        return (self.folder / name).read_bytes()

    def sign_as_stranger(self, name: str) -> None:
        """Sign the metadata ``name`` by a key that nobody trusts, until ``honest``."""
        path = self.folder / name
        metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
        metadata.sign(CryptoSigner.generate_ed25519())
        self._genuine.setdefault(path, path.read_bytes())
        path.write_bytes(metadata.to_bytes())
        self._vouch(path)

    def _vouch(self, path: Path) -> None:
        """Sign a snapshot that names the metadata in ``path`` as it is, and a timestamp."""
        repository = Repository(self.folder)
        snapshot = repository.newest(Snapshot, Snapshot.type)
        timestamp = repository.newest(Timestamp, Timestamp.type)
        assert snapshot is not None
        assert timestamp is not None
        version, _, name = path.name.partition(".")
        snapshot.signed.meta[name] = _meta(int(version), path.read_bytes())
        snapshot.signed.version += 1
        timestamp.signed.version += 1
        snapshot.sign(load_signer(self.online / "snapshot.pem"))
        data = snapshot.to_bytes()
        timestamp.signed.snapshot_meta = _meta(snapshot.signed.version, data)
        timestamp.sign(load_signer(self.online / "timestamp.pem"))
        repository.path(Snapshot.type, snapshot.signed.version).write_bytes(data)
        repository.path(Timestamp.type, 0).write_bytes(timestamp.to_bytes())

    # The wire.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fetch(self, name: str, *, limit: int) -> bytes:
        """Fetch as a device does, over HTTP."""
        try:
            with urlopen(f"{self.url}/{name}", timeout=5) as response:
                data: bytes = response.read(limit + 1)
                whole = response.length in (None, 0) or len(data) > limit
        except HTTPError as e:
            e.close()
            if e.code in {403, 404}:
                raise ForgottenError(f"{name}: {e}") from e
            raise UnreachableError(f"{name}: {e}") from e
        except (URLError, OSError) as e:
            raise UnreachableError(f"{name}: {e}") from e
        if len(data) > limit:
            raise EndlessError(name, limit=limit)
        if not whole:
            raise UnreachableError(f"{name}: cut off")
        return data

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def _armed(self, name: str) -> Fault | None:
        with self._lock:
            for armed in self._faults:
                if fnmatchcase(name, armed.pattern) and armed.times != 0:
                    armed.times = None if armed.times is None else armed.times - 1
                    return armed.fault
        return None

    def _body(self, name: str) -> bytes | None:
        if name in self.override:
            return self.override[name]
        kind, _, nonce = name.partition("?nonce=")
        if kind == "time" and self.time is not None:
            utc_ms = round(self.time().timestamp() * 1000)
            signer = load_signer(self.online / "time.pem")
            return records.to_json(sign_time(signer, nonce, utc_ms=utc_ms))
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            return None
        return path.read_bytes()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, simulator: RepositorySimulator) -> None:
        self.simulator = simulator
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        simulator = self.server.simulator
        name = self.path.lstrip("/")
        simulator.requests.append((name, self.headers.get("Range")))
        fault, body = simulator._armed(name), simulator._body(name)
        match fault:
            case Fault.CUT_REFUSAL:
                self._begin(404, bytes(50), fault)
                self.wfile.write(bytes(25))
                self.close_connection = True
            case (
                Fault.NOT_FOUND
                | Fault.FORBIDDEN
                | Fault.BROKEN
                | Fault.REDIRECTED
                | Fault.UNAUTHORIZED
                | Fault.NO_STATUS
            ):
                self._answer(int(fault.value[:3]), b"")
            case Fault.SILENT:
                simulator._stop.wait(60)
                self.close_connection = True
            case _ if body is None:
                self._answer(404, b"")
            case _:
                self._send(name, body, fault)

    def _send(self, name: str, body: bytes, fault: Fault | None) -> None:
        if fault is Fault.FLIPPED_BIT and body:
            at = len(body) // 2
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        if fault is Fault.TRUNCATED:
            body = body[: len(body) // 2]
        asked = _RANGE.fullmatch(self.headers.get("Range") or "")
        if asked is None or fault is Fault.NO_RANGE:
            self._begin(200, body, fault)
        elif int(asked[1]) >= len(body):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            return
        else:
            start, whole = int(asked[1]), len(body)
            body = body[start : int(asked[2]) + 1 if asked[2] else None]
            part = f"bytes {start}-{start + len(body) - 1}/{whole}"
            self._begin(206, body, fault, {"Content-Range": part})
        self._pour(name, body, fault)

    def _begin(
        self, status: int, body: bytes, fault: Fault | None, more: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (more or {}).items():
            self.send_header(key, value)
        if fault is Fault.ENDLESS:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()

    def _pour(self, name: str, body: bytes, fault: Fault | None) -> None:
        simulator = self.server.simulator
        if fault is Fault.CUT:
            self._write(name, body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault is Fault.SLOW:
            for i in range(len(body)):
                if simulator._stop.wait(simulator.slow_s):
                    return
                self._write(name, body[i : i + 1])
        else:
            self._write(name, body)
            while fault is Fault.ENDLESS and not simulator._stop.is_set():
                self._write(name, _JUNK)

    def _write(self, name: str, data: bytes) -> None:
        sent = self.server.simulator.sent
        sent[name] = sent.get(name, 0) + len(data)
        self.wfile.write(data)

    def _answer(self, status: int, body: bytes, more: Mapping[str, str] | None = None) -> None:
        self._begin(status, body, None, more)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def tiny_bundle(
    folder: Path,
    *,
    model: str,
    release: int,
    files: Mapping[str, bytes] | None = None,
    hardware: tuple[Hardware, ...] = ("cpu-x86_64",),
) -> Path:
    """Write into ``folder`` a bundle that is whole, and whose model is no model."""
    contents = {
        "model.tflite": f"{model} {release} ".encode() * 50,
        "inputs.bin": bytes(64),
        "outputs.bin": bytes(10),
        **(files or {}),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    manifest = Manifest(
        format=FORMAT,
        model=model,
        release=release,
        label=f"{release}.0",
        task="classification",
        inputs=(Tensor(name="x", shape=(1, 64), dtype="int8", scale=0.5),),
        outputs=(Tensor(name="y", shape=(1, 10), dtype="int8", scale=0.5),),
        files={
            name: File(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
            for name, data in contents.items()
        },
        variants=(
            Variant(
                id="cpu",
                engine="tflite",
                files=("model.tflite",),
                requires=Requires(hardware=hardware),
            ),
        ),
        selftest=Selftest(
            count=1, inputs="inputs.bin", outputs="outputs.bin", tolerance=Tolerance(max_abs=0.5)
        ),
    )
    (folder / NAME).write_bytes(manifest.to_json())
    return folder
