"""A device's folder with real releases in it, and a real serve process over it."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from littoral import records
from littoral.bundle.manifest import NAME, File, Manifest, Requires, Selftest, Tolerance, Variant
from littoral.model import selftest, tensors
from littoral.model.backends import Array, Session, open_session
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.journal import Choice, Journal
from patience import patient

FIXTURES = Path(__file__).parents[1] / "fixtures"
HARDWARE: Literal["cpu-x86_64"] = "cpu-x86_64"

T = TypeVar("T")


@cache
def model(name: str) -> bytes:
    return (FIXTURES / f"{name}.tflite").read_bytes()


def noise(specs: Any, count: int) -> list[selftest.Sample]:
    rng = np.random.default_rng(0)
    return [
        tuple(
            rng.normal(size=spec.shape).astype(np.float32)
            if spec.dtype == "float32"
            else rng.integers(
                np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max + 1, spec.shape
            ).astype(spec.dtype)
            for spec in specs
        )
        for _ in range(count)
    ]


def named(*names: str) -> list[str]:
    """Return the options by which serve has these fixtures, with hyphens in their names."""
    return [f"--model={name.replace('_', '-')}={FIXTURES / name}.tflite" for name in names]


@cache
def tiny() -> Session:
    """Return what runs ``tiny_int8``, which most tests ask."""
    return open_session("litert", model("tiny_int8"))


def images(count: int) -> Array:
    """Return the same inputs for it each time, as real numbers."""
    return np.random.default_rng(4).random((count, 8, 8, 1), np.float32)


def expected(x: Array) -> Array:
    """Return what it answers to ``x``, as real numbers, when each row is asked by itself."""
    (given,), (made,) = tiny().inputs, tiny().outputs
    rows = [tiny().run(tensors.quantize(one[None], given))[0] for one in x]
    return np.concatenate([tensors.dequantize(row, made) for row in rows])


@dataclass(frozen=True)
class Release:
    """A release in a device's folder, as an order names it."""

    manifest: Manifest
    sha256: str

    @property
    def choice(self) -> Choice:
        return Choice(
            manifest=self.sha256,
            release=self.manifest.release,
            variant=self.manifest.variants[0].id,
            hardware=HARDWARE,
        )

    @property
    def order(self) -> dict[str, Any]:
        return {
            "model": self.manifest.model,
            "manifest": self.sha256,
            "variant": self.manifest.variants[0].id,
        }


class Device:
    """The folder of a device, as the agent leaves it."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self.tree.make()

    def blob(self, data: bytes) -> File:
        digest = hashlib.sha256(data).hexdigest()
        self.tree.blob(digest).write_bytes(data)
        return File(sha256=digest, size=len(data))

    def add(
        self,
        name: str,
        *,
        release: int = 1,
        data: bytes | None = None,
        golden_of: bytes | None = None,
        repeat: int = 1,
        backend: str = "litert",
        **changes: Any,
    ) -> Release:
        """Put a release of ``name`` here; its golden outputs are those of ``golden_of``.

        ``repeat`` makes many of the four golden samples, and so a long self-test.
        """
        data = model("tiny_int8") if data is None else data
        session = open_session(backend, model("tiny_int8") if golden_of is None else golden_of)
        inputs = noise(session.inputs, 4)
        outputs = [session.run(*sample) for sample in inputs]
        manifest = Manifest(
            format=1,
            model=name,
            release=release,
            label=f"1.{release}+{os.getpid()}",  # its trials are found by the manifest's digest
            task="classification",
            inputs=session.inputs,
            outputs=session.outputs,
            files={
                "model.tflite": self.blob(data),
                "inputs.bin": self.blob(selftest.pack(inputs) * repeat),
                "outputs.bin": self.blob(selftest.pack(outputs) * repeat),
            },
            variants=(
                Variant(
                    id="cpu-int8",
                    engine="tflite",
                    files=("model.tflite",),
                    requires=Requires(hardware=(HARDWARE,)),
                ),
            ),
            selftest=Selftest(
                count=4 * repeat,
                inputs="inputs.bin",
                outputs="outputs.bin",
                tolerance=Tolerance(max_abs=0.01),
            ),
        )
        return self.put(replace(manifest, **changes))

    def put(self, manifest: Manifest) -> Release:
        data = manifest.to_json()
        digest = hashlib.sha256(data).hexdigest()
        self.tree.manifest(digest).write_bytes(data)
        return Release(manifest, digest)

    def bundle(self, release: Release, folder: Path) -> Path:
        """Write ``release`` as a publisher has it, into a new ``folder``."""
        folder.mkdir(parents=True)
        (folder / NAME).write_bytes(release.manifest.to_json())
        for name, file in release.manifest.files.items():
            (folder / name).write_bytes(self.tree.blob(file.sha256).read_bytes())
        return folder

    def good(self, release: Release) -> None:
        name = release.manifest.model
        journal.write(self.tree.journal(name), Journal(model=name, good=release.choice))


LONG = 100_000  # repeats: a self-test of some seconds


class Serve:
    """A running ``python -m littoral_serve``."""

    def __init__(self, *options: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "littoral_serve", "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"serve did not start: {self.stop()}")
        self.ready = json.loads(line)
        self.url = f"http://{self.ready['http']}"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.ready["http"].rpartition(":")
        return host, int(port)

    def kib(self, what: str = "VmRSS") -> int:
        """Return how much memory it has, or by another word of the kernel's."""
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(told.partition(f"{what}:")[2].split()[0])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> str:
        """End it, and return what it wrote on stderr."""
        self.process.terminate()
        _, err = self.process.communicate(timeout=patient(20))
        return err


@contextmanager
def serving(*options: str, environment: dict[str, str] | None = None) -> Iterator[Serve]:
    serve = Serve("--http", "127.0.0.1:0", *options, environment=environment)
    try:
        yield serve
    finally:
        serve.stop()
        serve.process.stdout.close()  # type: ignore[union-attr]
        serve.process.stderr.close()  # type: ignore[union-attr]


def command(*words: str, module: str = "littoral_serve") -> subprocess.CompletedProcess[str]:
    """Run serve until it ends by itself, in no device's folder but one that ``words`` name."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
        env={name: value for name, value in os.environ.items() if name != "LITTORAL_DATA"},
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=patient(60))
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def ask(path: Path, method: str, target: str, body: object = None) -> tuple[int, Any]:
    """Return the status and JSON that the socket ``path`` answers."""
    connection = _UnixConnection(path)
    try:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, target, data)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def order(device: Device, call: str, kind: type[T], body: object) -> T:
    """Return the reply to an order, which must be done."""
    status, reply = ask(device.tree.control, "POST", f"/control/{call}", body)
    assert status == 200, reply
    return records.fill(kind, reply)


def wait_until(check: Any, *, within_s: float = 10) -> None:
    end = time.monotonic() + patient(within_s)
    while not check():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def children(serve: Serve) -> list[str]:
    """Return the process ids of its trials."""
    pid = serve.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def computed_s(serve: Serve) -> float:
    """Return the processor time of serve itself: what a busy machine does not change."""
    stat = Path(f"/proc/{serve.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def alive(pid: str) -> bool:
    """Tell whether it runs: whom nobody waits for stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
