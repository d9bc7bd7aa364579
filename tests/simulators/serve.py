"""A serve that tests control: littoral.wire.control over a real Unix socket, no runtime behind it.

with ServeSimulator(tree) as serve:
    serve.tried["<manifest sha256>"] = Tried(code="outputs")   # how its self-test goes
    serve.crash()                                               # dies, and is started again
"""

import base64
import json
import secrets
import socketserver
import threading
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from littoral import records
from littoral.bundle.manifest import Manifest
from littoral.errors import JournalError, LittoralError
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.control import (
    Activate,
    Activated,
    Deactivate,
    Failure,
    Loaded,
    Needs,
    Probe,
    Runtime,
    Serving,
    Timings,
    Tried,
    Try,
    Window,
)
from littoral.wire.sketch import Sketch

LIMIT = 1024 * 1024


class DeniedOrderError(Exception):
    def __init__(self, code: str, error: str) -> None:
        super().__init__(error)
        self.code = code


class ServeSimulator:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.tried: dict[str, Tried] = {}  # by manifest: how its self-test goes
        self.probed: dict[str, Tried] = {}  # by manifest: how it does while it serves
        self.denied: dict[str, DeniedOrderError] = {}  # by manifest: why it is not activated
        self.version, self.knows = "2.3.0", 9  # its runtime's; the last version of any operator
        self.held: set[str] = set()  # calls that are not answered for now: "try", "probe"
        self.calls: list[str] = []
        self.windows: list[Window] = []
        self.lock = threading.RLock()
        self.loaded: dict[str, Loaded] = {}
        self.instance = ""
        self._server: _Server | None = None

    @property
    def running(self) -> dict[str, int]:
        """Which release answers under each name."""
        return {name: one.release for name, one in self.loaded.items()}

    def traffic(self, model: str, *, requests: int, errors: int = 0, p95_us: float = 100) -> None:
        """Let the model that serves answer ``requests``."""
        with self.lock:
            one = self.loaded[model]
            sketch = Sketch.decode(base64.b64decode(one.invoke))
            for _ in range(requests):
                sketch.record(p95_us)
            self.loaded[model] = replace(
                one,
                requests=one.requests + requests,
                errors=one.errors + errors,
                invoke=base64.b64encode(sketch.encode()).decode(),
            )

    def start(self) -> None:
        """Start as serve does: with what the journals call good."""
        with self.lock:
            self.instance = secrets.token_hex(8)
            self.loaded.clear()
            self.windows.clear()
            for path in journal.find(self.tree.journals):
                found = self._readable(path)
                if found is not None and found.good is not None:
                    with suppress(DeniedOrderError):
                        self._load(found.model, found.good.manifest, found.good.variant)
        self.tree.control.unlink(missing_ok=True)
        self._server = _Server(str(self.tree.control), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.tree.control.unlink(missing_ok=True)

    def crash(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, path: str, body: bytes) -> object:  # noqa: PLR0911 (one a call)
        """Do what was ordered, as it is ordered: strictly by littoral.wire.control."""
        parts = urlsplit(path)
        call = parts.path.removeprefix("/control/")
        with self.lock:
            self.calls.append(call)
        while call in self.held:
            time.sleep(0.01)
        match call:
            case "state":
                return Serving(
                    instance=self.instance,
                    pid=1,
                    http="127.0.0.1:8501",
                    models=tuple(self.loaded.values()),
                )
            case "timings":
                after = int(parse_qs(parts.query)["after"][0])
                self.windows = [w for w in self.windows if w.sequence > after]
                return Timings(instance=self.instance, windows=tuple(self.windows))
            case "try":
                order = records.from_json(Try, body, limit=LIMIT)
                self._whole(order.manifest, order.variant)
                return self.tried.get(order.manifest, Tried(p95_cpu_us=50.0))
            case "activate":
                wanted = records.from_json(Activate, body, limit=LIMIT)
                with self.lock:
                    self._load(wanted.model, wanted.manifest, wanted.variant)
                    return Activated(
                        model=wanted.model, release=self.loaded[wanted.model].release, load_ms=1.0
                    )
            case "deactivate":
                with self.lock:
                    model = records.from_json(Deactivate, body, limit=LIMIT).model
                    self.loaded.pop(model, None)
                    return Activated(model=model, release=None)
            case "runtime":
                needs = records.from_json(Needs, body, limit=LIMIT)
                late = {k: self.knows for k, v in needs.operators.items() if v > self.knows}
                return Runtime(name="litert", version=self.version, unknown=late)
            case "probe":
                one = self.loaded[records.from_json(Probe, body, limit=LIMIT).model]
                return self.probed.get(one.manifest, Tried())
            case _:
                raise DeniedOrderError("usage", f"no call {call}")

    def _whole(self, manifest: str, variant: str) -> Manifest:
        """Open every file that the variant needs, as serve does."""
        try:
            found = Manifest.from_json(self.tree.manifest(manifest).read_bytes())
        except (OSError, LittoralError) as e:
            raise DeniedOrderError("malformed", str(e)) from e
        (chosen,) = (v for v in found.variants if v.id == variant)
        for name, file in found.files_for(chosen).items():
            path = self.tree.blob(file.sha256)
            if not path.exists() or path.stat().st_size != file.size:
                raise DeniedOrderError("hash", f"{name} is not whole")
        return found

    def _load(self, model: str, manifest: str, variant: str) -> None:
        if manifest in self.denied:
            raise self.denied[manifest]
        found = self._whole(manifest, variant)
        held = self.loaded.get(model)
        if held is not None and held.manifest == manifest:
            return
        self.loaded[model] = Loaded(
            model=model,
            release=found.release,
            manifest=manifest,
            variant=variant,
            since_ms=int(time.time() * 1000),
            requests=0,
            errors=0,
            invoke=base64.b64encode(Sketch().encode()).decode(),
        )

    @staticmethod
    def _readable(path: Path) -> journal.Journal | None:
        try:
            return journal.read(path)
        except JournalError:
            return journal.read_proven(path)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


def _handler(serve: ServeSimulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            status = 200
            try:
                reply = serve.answer(self.path, body)
            except DeniedOrderError as e:
                status, reply = 409, Failure(code=e.code, error=str(e))
            except (records.RecordError, KeyError, json.JSONDecodeError) as e:
                status, reply = 400, Failure(code="usage", error=str(e))
            data = records.to_json(reply)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            with suppress(BrokenPipeError):  # whoever asked hung up
                self.end_headers()
                self.wfile.write(data)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

    return Handler
