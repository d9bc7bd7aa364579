"""What serve adds to a model's own time, beside what other servers add; all by turns, in one run.

    .venv/bin/python benchmarks/serving.py [--rounds 30] [--seconds 0.3] [--only ours]

A client in C says one request again and again on one connection. Each turn asks each server for
so many seconds, and runs the bare model (set, invoke, get) in a process of its own. *Overhead* is
the least time of an answer less the least time of the model: waking up on an idle machine is
nobody's. Turns are short and many, so that each server has some of the moments in which a shared
machine is fast: a bare model that has one alone makes all overheads greater, and all ratios less.
*Processor* is what the server's processes took for one request, less what the bare model took, as
the median of all turns. ``make peers`` installs the others, each in an environment of its own;
those that are not there are left out.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from littoral.wire import frames
from littoral.wire.frames import Kind, Run, Spec
from load.caller import Caller, NoCompilerError, caller

ROOT: Final = Path(__file__).parents[1]
PEERS: Final = Path(__file__).with_name("peers")
VENVS: Final = ROOT / "build/peers"
OURS: Final = Path(sys.executable)
SHARED: Final = ROOT.parent / "shared/models"
TICK_US: Final = 1e6 / os.sysconf("SC_CLK_TCK")
MODELS: Final = {  # by the bytes of their input
    "490 B": SHARED / "mlperf_tiny/kws_ref_model_int8.tflite",
    "49 kB": SHARED / "coral/mobilenet_v1_0.25_128_quant.tflite",
}
MOST_US: Final = {
    ("frames", "490 B"): 12.0,
    ("frames", "49 kB"): 30.0,
    ("binary", "490 B"): 20.0,
    ("binary", "49 kB"): 45.0,
}
BY: Final = {  # how many times less than a peer's
    ("FastAPI", "binary"): 2.0,
    ("Flask", "binary"): 5.0,
    ("Flask on waitress", "binary"): 5.0,
    ("MLServer", "JSON"): 10.0,
}
FLOOR_TIMES: Final = 2.0
FLOORS: Final = (  # what no server in Python can be below
    ("frames", "serve, frames", "asyncio alone, frames"),
    ("binary", "serve", "asyncio alone"),
)
FASTER: Final = {"FastAPI": 4.0, "Flask": 4.0}  # TensorFlow Serving's JSON, 128 x 128 x 3


@dataclass
class Tensor:
    """The one input of a model."""

    name: str
    x: Any

    def http(self, path: str, body: bytes, *, kind: str, more: str = "") -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n{more}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def frame(self) -> bytes:
        spec = Spec(self.name, self.x.dtype.name, self.x.shape)
        head = frames.head(Run(model="m", inputs=(spec,), signature="raw"))
        return frames.begin(Kind.RUN, head, body_bytes=self.x.nbytes) + _bytes(self.x)

    def open_inference(self, *, binary: bool) -> bytes:
        datatype = self.x.dtype.name.upper()
        one: dict[str, Any] = {"name": self.name, "shape": self.x.shape, "datatype": datatype}
        asked: dict[str, Any] = {"inputs": [one]}
        if not binary:
            one["data"] = self.x.ravel().tolist()
            return self.http("/v2/models/m/infer", _json(asked), kind="application/json")
        one["parameters"] = {"binary_data_size": self.x.nbytes}
        asked["parameters"] = {"binary_data_output": True}
        head = _json(asked)
        more = f"Inference-Header-Content-Length: {len(head)}\r\n"
        body = head + _bytes(self.x)
        kind = "application/octet-stream"
        return self.http("/v2/models/m/infer", body, kind=kind, more=more)

    def tensorflow(self, path: str = "/v1/models/m:predict") -> bytes:
        asked = {"signature_name": "raw", "instances": self.x.tolist()}
        return self.http(path, _json(asked), kind="application/json")

    def plain(self) -> bytes:
        return self.http("/binary", _bytes(self.x), kind="application/octet-stream")


@dataclass
class Turns:
    """What was measured of one way to ask one server."""

    least: list[float] = field(default_factory=list)
    median: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    errors: int = 0

    def of(self, what: str) -> float:
        """Return the least of all turns' least, and the median of their other figures."""
        values: list[float] = getattr(self, what)
        return min(values) if what == "least" else statistics.median(values)


Request = Callable[[Tensor], bytes]


@dataclass(frozen=True)
class Server:
    """A server, how it is started, and what it is asked."""

    name: str
    python: Path
    words: Callable[[Path, str], list[str]]  # a folder of its own, and its port
    asked: dict[str, Request]
    unix: bool = False

    @property
    def ours(self) -> bool:
        return self.python == OURS


def _python(venv: str) -> Path:
    return VENVS / venv / "bin/python"


def _script(name: str, *more: str) -> Callable[[Path, str], list[str]]:
    return lambda _, port: [str(PEERS / name), port, *more]


def _serve(folder: Path, port: str) -> list[str]:
    (folder / "data").mkdir()
    words = ["-m", "littoral_serve", f"--data={folder / 'data'}", f"--http=127.0.0.1:{port}"]
    return [*words, f"--model=m={os.environ['MODEL']}"]


def _loop(folder: Path, _: str) -> list[str]:
    return [str(PEERS / "loop.py"), str(folder / "serve.sock")]


def _mlserver(folder: Path, port: str) -> list[str]:
    ports = {"http_port": int(port), "grpc_port": _free(), "metrics_port": _free()}
    whole = {"parallel_workers": 0, "debug": False, "host": "127.0.0.1", **ports}
    (folder / "settings.json").write_text(json.dumps(whole))
    model = {"name": "m", "implementation": "peers.mlserver_runtime.Run"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(VENVS / "mlserver/bin/mlserver"), "start", str(folder)]


def _tfs(tensor: Tensor) -> bytes:
    return tensor.tensorflow()


BINARY: Final[dict[str, Request]] = {"binary": lambda t: t.open_inference(binary=True)}
PLAIN: Final[dict[str, Request]] = {"binary": Tensor.plain, "TensorFlow JSON": _tfs}
V2: Final[dict[str, Request]] = {"JSON": lambda t: t.open_inference(binary=False)}
SERVERS: Final = (
    Server("serve, frames", OURS, _serve, {"frames": Tensor.frame}, unix=True),
    Server("asyncio alone, frames", OURS, _loop, {"frames": Tensor.frame}, unix=True),
    Server("asyncio alone", OURS, _script("loop.py"), BINARY),
    Server("serve", OURS, _serve, {**BINARY, "TensorFlow JSON": _tfs, **V2}),
    Server("FastAPI", _python("fastapi"), _script("fastapi_server.py"), PLAIN),
    Server("Flask", _python("flask"), _script("flask_server.py", "own"), PLAIN),
    Server("Flask on waitress", _python("flask"), _script("flask_server.py", "waitress"), PLAIN),
    Server("MLServer", _python("mlserver"), _mlserver, V2),
    Server("KServe", _python("kserve"), _script("kserve_server.py"), BINARY),
    Server(
        "LitServe",
        _python("litserve"),
        _script("litserve_server.py"),
        {"JSON": lambda t: t.tensorflow("/predict")},
    ),
)


class Running:
    """A server that was started for one model."""

    def __init__(self, server: Server, model: Path, stack: contextlib.ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serving-")))
        port = str(_free())
        os.environ |= {"MODEL": str(model), "PYTHONPATH": str(PEERS.parent)}
        self.process = subprocess.Popen(
            [str(server.python), *server.words(self.folder, port)],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "said").open("wb"),
            cwd=self.folder,
            start_new_session=True,
        )
        stack.callback(self._end)
        self.address = f"127.0.0.1:{port}"
        if server.unix:
            inside = "data/run" if server.words is _serve else "."
            self.address = f"unix:{self.folder / inside / 'serve.sock'}"

    def cpu_us(self) -> float:
        """Return the processor time of this process and all below it."""
        total = 0.0
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(OSError, IndexError):
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(map(int, stat[11:15])) * TICK_US
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())
        return total

    def resident(self) -> int:
        told = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(told.partition("VmRSS:")[2].split()[0]) * 1024

    def _end(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # LitServe leaves its workers behind
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Asked:
    """One server that runs, and one way to ask it."""

    running: Running
    caller: Caller
    turns: Turns

    def turn(self, seconds: float) -> None:
        before = self.running.cpu_us()
        got = self.caller.call(seconds=seconds)
        self.turns.errors += got.errors
        if got.count:
            self.turns.cpu.append((self.running.cpu_us() - before) / got.count)
            for what in ("least", "median", "p99"):
                getattr(self.turns, what).append(getattr(got, what))


def measure(
    model: Path, servers: list[Server], *, rounds: int, seconds: float
) -> tuple[Turns, dict[tuple[str, str], Turns], dict[str, int]]:
    """Return what the bare model, and each server by each way, came to; and its memory."""
    bare, found, memory = Turns(), dict[tuple[str, str], Turns](), dict[str, int]()
    with contextlib.ExitStack() as stack:
        alone = stack.enter_context(_bare(model))
        tensor = tensor_of(model)
        asked: list[Asked] = []
        for server in servers:
            running = Running(server, model, stack)
            for way, make in server.asked.items():
                request = running.folder / f"{way}.request"
                request.write_bytes(make(tensor))
                kind: Any = "frame" if server.unix else "http"
                one = stack.enter_context(caller(kind, running.address, request))
                _wait(one, running)
                turns = found.setdefault((server.name, way), Turns())
                asked.append(Asked(running, one, turns))
        for _ in range(rounds):
            for figures, value in zip(
                (bare.least, bare.median, bare.cpu), alone(seconds), strict=True
            ):
                figures.append(value)
            for one_asked in asked:
                one_asked.turn(seconds)
        memory = {
            server.name: one.running.resident()
            for server in servers
            for one in asked
            if found[server.name, next(iter(server.asked))] is one.turns
        }
    return bare, found, memory


@contextlib.contextmanager
def _bare(model: Path) -> Iterator[Callable[[float], tuple[float, ...]]]:
    with subprocess.Popen(
        [sys.executable, str(PEERS / "bare.py")],
        env={**os.environ, "MODEL": str(model), "PYTHONPATH": str(PEERS.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()

        def run(count: int) -> tuple[float, ...]:
            print(count, file=child.stdin, flush=True)
            return tuple(map(float, child.stdout.readline().split()))  # type: ignore[union-attr]

        median = run(500)[1]
        yield lambda seconds: run(max(10, int(seconds * 1e6 / median)))
        child.stdin.close()


def _wait(one: Caller, running: Running) -> None:
    end = time.monotonic() + 120
    while one.call(seconds=5, count=50).count == 0:
        if time.monotonic() > end or running.process.poll() is not None:
            said = (running.folder / "said").read_text(errors="replace")
            raise RuntimeError(f"{running.process.args!r} does not answer: {said[-1500:]}")
        time.sleep(0.3)


def tensor_of(model: Path) -> Tensor:
    from littoral.model.backends import open_session

    (spec,) = open_session("litert", model.read_bytes()).inputs
    limits = np.iinfo(spec.dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max + 1, spec.shape)
    return Tensor(spec.name, x.astype(spec.dtype))


def _bytes(array: Any) -> bytes:  # noqa: ANN401 (of NumPy)
    data: bytes = array.tobytes()
    return data


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def rows(size: str, bare: Turns, found: dict[tuple[str, str], Turns]) -> Iterator[dict[str, Any]]:
    def over(key: tuple[str, str], what: str) -> float:
        return found[key].of(what) - bare.of(what)

    yield {"what": f"{size}: the model, bare", "value": bare.of("least"), "unit": "us"}
    yield {"what": f"{size}: the model, bare, processor", "value": bare.of("cpu"), "unit": "us"}
    for (name, way), turns in found.items():
        if turns.errors:
            raise RuntimeError(f"{name}, {way}: {turns.errors} errors")
        promised = MOST_US.get((way, size)) if name.startswith("serve") else None
        most = {} if promised is None else {"most": promised}
        label = f"{size}: {name}, {way}"
        least = over((name, way), "least")
        yield {"what": f"{label}: overhead", "value": least, "unit": "us", **most}
        yield {"what": f"{label}: processor", "value": over((name, way), "cpu"), "unit": "us"}
        yield {"what": f"{label}: median", "value": turns.of("median"), "unit": "us"}
        yield {"what": f"{label}: p99", "value": turns.of("p99"), "unit": "us"}
    for way, name, alone in FLOORS:
        if (name, way) in found and (alone, way) in found:
            times = over((name, way), "least") / over((alone, way), "least")
            what = f"{size}: {name}, {way}: over {alone}"
            yield {"what": what, "value": times, "unit": "x", "most": FLOOR_TIMES}
    ours = ("serve", "binary")
    for (name, way), times in BY.items():
        if (name, way) in found and ours in found:
            less = over((name, way), "least") / over(ours, "least")
            what = f"{size}: overhead, less than {name}'s"
            yield {"what": what, "value": less, "unit": "x", "least": times}
    way = "TensorFlow JSON"
    for name, times in FASTER.items():
        if size == "49 kB" and (name, way) in found and ("serve", way) in found:
            # Turn by turn: a machine that is slower for a while is so for both.
            pairs = zip(found[name, way].median, found["serve", way].median, strict=True)
            faster = statistics.median(theirs / own for theirs, own in pairs)
            what = f"{size}: {way}, faster than {name}"
            yield {"what": what, "value": faster, "unit": "x", "least": times}


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=30)
    words.add_argument("--seconds", type=float, default=0.3, help="of each turn")
    words.add_argument("--only", choices=("ours",), help="without the others")
    words.add_argument("--size", choices=tuple(MODELS), help="of one model alone")
    asked = words.parse_args()
    if not all(model.is_file() for model in MODELS.values()):
        print(json.dumps({"skipped": "the shared models are not here"}))
        return 0
    servers = [one for one in SERVERS if one.python.exists() and (one.ours or not asked.only)]
    told = []
    try:
        for size, model in MODELS.items():
            if asked.size in (None, size):
                bare, found, memory = measure(
                    model, servers, rounds=asked.rounds, seconds=asked.seconds
                )
                told += list(rows(size, bare, found))
                told += [
                    {"what": f"{size}: {name}, memory", "value": held / 2**20, "unit": "MiB"}
                    for name, held in memory.items()
                ]
    except NoCompilerError as e:
        print(json.dumps({"skipped": str(e)}))
        return 0
    print(json.dumps({"rows": told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
