"""Hostile clients: nearly right HTTP, frames and gRPC, said to a real serve.

Each input is said on a connection of its own, which its client then half closes. Bad is: a
connection that serve does not end (**hang**); an answer that is none, or that blames serve
(**answer**); what its log calls a fault (**defect**); another process, or none (**crash**);
descriptors, threads or memory that are not given back (**leak**); a good request that is not
answered as before (**wrong**).
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.memory import in_memory
from faults.protocols_made import TENSOR, Said, Way, said
from faults.tally import Tally
from littoral.wire import frames
from littoral.wire.frames import HEADER, Kind
from patience import patient
from simulators.served import FIXTURES

RUNS: Final = 100_000
MOST_KIB: Final = 16 * 1024  # that serve may grow: the library of gRPC keeps some of who is cut off
_SETTLED: Final = 1000  # inputs, after which its memory is looked at
_EVERY: Final = 100  # inputs, after which a good request is sent
_WAIT_S: Final = 20.0
_RECORD: Final = re.compile(r"^(?=(?:DEBUG|INFO|WARNING|ERROR|CRITICAL): )", re.MULTILINE)
_ANSWERS: Final = frozenset(
    (100, 200, 206, 400, 403, 404, 405, 408, 411, 413, 414, 415, 429, 431, 501, 503, 504)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How many, and which."""

    runs: int | None = None
    seed: int = 7
    first: int = 0


@dataclass(slots=True)
class World:
    """A serve that answers by every protocol, and what it was like before anybody was hostile."""

    process: subprocess.Popen[bytes]
    log: Path
    where: dict[Way, tuple[socket.AddressFamily, object]]
    good: dict[Way, bytes] = field(default_factory=dict)
    read: int = 0  # of the log

    def connect(self, way: Way) -> socket.socket:
        family, address = self.where[way]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.settimeout(patient(_WAIT_S))
        found.connect(address)  # type: ignore[arg-type]
        return found

    def held(self) -> tuple[int, int]:
        """Return how many descriptors and threads there are."""
        proc = Path(f"/proc/{self.process.pid}")
        return len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))

    def kib(self) -> int:
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", told)[0])

    def faults(self) -> list[str]:
        """Return what the log calls a fault since the last look."""
        with self.log.open("rb") as file:
            file.seek(self.read)
            text = file.read().decode(errors="replace")
            self.read = file.tell()
        # Of a header or a path that is no text, gRPC's own library says so itself.
        ours = [one for one in _RECORD.split(text) if "cygrpc" not in one]
        return [f"defect: {one[-1500:]}" for one in ours if "Traceback" in one]


@contextmanager
def world() -> Iterator[World]:
    with in_memory("protocols") as folder:
        (folder / "data").mkdir()
        chosen = "max_body_bytes = 300_000\nkeep_alive_s = 5.0\nwindow_s = 5.0\n"
        (folder / "data/serve.toml").write_text(chosen)
        names = ("tiny_float", "tiny_int8")
        models = [f"--model={name.replace('_', '-')}={FIXTURES / name}.tflite" for name in names]
        log = folder / "log"
        words = [f"--data={folder / 'data'}", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0", *models]
        with log.open("wb") as said_here:
            process = subprocess.Popen(
                [sys.executable, "-m", "littoral_serve", "--json", *words],
                stdout=subprocess.PIPE,
                stderr=said_here,
            )
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline() or b"{}")
            yield _world(process, ready, log, folder / "data/run/serve.sock")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


def _world(
    process: subprocess.Popen[bytes], ready: dict[str, str], log: Path, local: Path
) -> World:
    def tcp(text: str) -> tuple[socket.AddressFamily, object]:
        host, _, port = text.rpartition(":")
        return socket.AF_INET, (host, int(port))

    unix = (socket.AF_UNIX, str(local))
    where: dict[Way, tuple[socket.AddressFamily, object]] = {
        "http": tcp(ready["http"]),
        "unix": unix,
        "frames": unix,
        "grpc": tcp(ready["grpc"]),
    }
    here = World(process, log, where)
    here.good = {way: _asked(here, way) for way in ("http", "unix", "frames")}
    assert all(here.good.values())
    return here


def run(here: World, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each."""
    tally, first_kib = Tally(), 0
    before = here.held()
    runs = RUNS if aim.runs is None else aim.runs
    for number in range(aim.first, aim.first + runs):
        one = said(aim.seed, number)
        begun = time.monotonic()
        answer, wrong = say(here, one)
        took_ms = round((time.monotonic() - begun) * 1000)
        tally.count["longest in ms"] = max(tally.count["longest in ms"], took_ms)
        tally.count[answer] += 1
        if number % _EVERY == 0 or number == aim.first + runs - 1:
            wrong += look(here)
        if tally.runs == min(_SETTLED, runs // 2):
            first_kib = here.kib() if here.process.poll() is None else 0
        tally.blame(one, wrong)
        tally.points[f"{one.way} {one.family}"] += 1
        yield tally
        if here.process.poll() is not None:
            return
    tally.count["grew by KiB"] = here.kib() - first_kib
    end = _leaks(here, before)
    if here.kib() - first_kib > MOST_KIB:
        end.append(f"leak: {here.kib() - first_kib} KiB")
    tally.found += [f"at the end: {one}" for one in end]
    tally.bad["leak"] += bool(end)
    yield tally


def say(here: World, one: Said) -> tuple[str, list[str]]:
    """Say it; return what the answer was, and what is wrong with that."""
    heard = bytearray()
    try:
        with here.connect(one.way) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in one.pieces:
                    connection.sendall(piece)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while part := connection.recv(1 << 16):
                    heard += part
    except TimeoutError:
        return "hang", [f"hang: it was not ended; {bytes(heard[:100])!r}"]
    except (ConnectionRefusedError, ConnectionResetError):
        # The library's server ends by some of these, and serve begins another.
        if one.way == "grpc" and here.process.poll() is None and _again(here):
            return "grpc: began anew", []
        return "refused", [f"crash: nobody listens; {here.process.poll()}"]
    return judge(one.way, bytes(heard))


def _again(here: World) -> bool:
    end = time.monotonic() + patient(_WAIT_S)
    while time.monotonic() < end:
        with suppress(ConnectionRefusedError, ConnectionResetError):
            here.connect("grpc").close()
            return True
        time.sleep(0.05)
    return False


def judge(way: Way, heard: bytes) -> tuple[str, list[str]]:
    """Return what kind of answer that is, and what is wrong with it."""
    if not heard:
        return f"{way}: nothing", []
    if way == "grpc":
        return "grpc: something", []
    if heard[:1] == frames.MAGIC[:1]:
        return _frame(heard)
    if not heard.startswith(b"HTTP/1.1 "):
        return "none", [f"answer: {heard[:60]!r}"]
    status = int(heard[9:12])
    return f"{way}: {status}", [] if status in _ANSWERS else [f"answer: {heard[:300]!r}"]


def _frame(heard: bytes) -> tuple[str, list[str]]:
    kind, size, _, _ = frames.sizes(heard)
    if kind != Kind.REFUSED:
        return f"frames: {Kind(kind).name.lower()}", []
    code = frames.read(frames.Refused, heard[HEADER.size : HEADER.size + size]).code
    return f"frames: {code}", [f"answer: {heard[:300]!r}"] if code == "defect" else []


def look(here: World) -> list[str]:
    """Return what is wrong with serve itself."""
    if here.process.poll() is not None:
        return [f"crash: serve ended with {here.process.returncode}", *here.faults()]
    wrong = here.faults()
    for way, good in here.good.items():
        try:
            found = _asked(here, way)
        except OSError as e:
            found = repr(e).encode()
        if found != good:
            wrong.append(f"wrong: a good request by {way}: {found[:200]!r}")
    return wrong


def _asked(here: World, way: Way) -> bytes:
    """Return the answer to a good request."""
    if way == "frames":
        spec = frames.Spec("image", "float32", (1, 8, 8, 1))
        head = frames.head(frames.Run(model="tiny-float", inputs=(spec,)))
        data = frames.begin(Kind.RUN, head, body_bytes=len(TENSOR)) + TENSOR
    else:
        one = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32", "data": [0.5] * 64}
        whole = json.dumps({"inputs": [one]})
        lines = "POST /v2/models/tiny-float/infer HTTP/1.1\r\nHost: localhost\r\nConnection: close"
        data = f"{lines}\r\nContent-Length: {len(whole)}\r\n\r\n{whole}".encode()
    heard = bytearray()
    with here.connect(way) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            heard += part
    return bytes(heard)


def _leaks(here: World, before: tuple[int, int]) -> list[str]:
    """Wait for what is still being closed; return what is not."""
    end = time.monotonic() + patient(_WAIT_S)
    while True:
        descriptors, threads = here.held()
        over = descriptors > before[0] + 4 or threads > before[1] + 4
        if not over:
            return []
        if time.monotonic() > end:
            return [f"leak: {before} descriptors and threads became {(descriptors, threads)}"]
        time.sleep(0.2)
