"""Swaps of a release under load: none may fail a request, slow one down for long, or cost memory.

Serve is a process of its own, with a real model in three releases that answer differently; each
activation loads one from the disk, for only two are held. Clients ask without a pause, each from a
process of its own, and keep every latency and every answer. Now and then a release is ordered that
no runtime takes: it is refused, and nothing changes. In the end serve is killed, and must come back
with what the journal calls good.

During a swap: requests that were under way between the order and its reply. Before: those of a
time in which nothing was ordered.
"""

import argparse
import json
import multiprocessing
import multiprocessing.connection
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from littoral.model.backends import open_session
from simulators.served import Device, Release, Serve, ask, noise, serving

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared/models/coral/mobilenet_v1_0.25_128_quant.tflite"
TINY, TINY_B = (ROOT / f"tests/fixtures/tiny_int8{b}.tflite" for b in ("", "_b"))
MODEL = "swapped"
BAD_EVERY = 50
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one client saw: when it asked, how long that took, which release answered; -1: none."""

    starts: np.ndarray[Any, Any]  # seconds of CLOCK_MONOTONIC, which all processes share
    took: np.ndarray[Any, Any]
    release: np.ndarray[Any, Any]


def releases(path: Path) -> list[bytes]:
    """Return three models, of which one follows the other and none the same."""
    data = path.read_bytes()
    if path.resolve() == TINY:
        return [data, TINY_B.read_bytes(), data]
    changed = []
    for number in range(3):  # weights, which a file of this size has in its middle
        model = bytearray(data)
        half = len(model) // 2
        for at in range(half, half + 4096):
            model[at] ^= number << 5
        changed.append(bytes(model))
    return changed


def request(inputs: np.ndarray[Any, Any], name: str) -> bytes:
    """Return one inference of the Open Inference Protocol, tensors in binary both ways."""
    data: bytes = inputs.tobytes()
    datatype = {"int8": "INT8", "uint8": "UINT8", "float32": "FP32"}[inputs.dtype.name]
    tensor = {
        "name": name,
        "shape": list(inputs.shape),
        "datatype": datatype,
        "parameters": {"binary_data_size": len(data)},
    }
    asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(asked).encode()
    lines = (
        f"POST /v2/models/{MODEL}/infer HTTP/1.1",
        "Host: localhost",
        f"Inference-Header-Content-Length: {len(head)}",
        f"Content-Length: {len(head) + len(data)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + head + data


def client(
    address: tuple[str, int],
    body: bytes,
    answers: list[bytes],
    pause_s: float,
    peer: multiprocessing.connection.Connection,
) -> None:
    """Ask until somebody says stop; send what was seen."""
    starts: list[float] = []
    took: list[float] = []
    release: list[int] = []
    with socket.create_connection(address, timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not peer.poll():
            start = time.monotonic()
            status, tail = _asked(connection, body)
            starts.append(start)
            took.append(time.monotonic() - start)
            known = status == 200 and any(tail.endswith(answer) for answer in answers)
            release.append(
                next(k for k, answer in enumerate(answers) if tail.endswith(answer))
                if known
                else -1
            )
            if pause_s:
                time.sleep(pause_s)
    peer.send((np.array(starts), np.array(took), np.array(release)))


def _asked(connection: socket.socket, body: bytes) -> tuple[int, bytes]:
    connection.sendall(body)
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    length = int(lines[b"content-length"])
    while len(rest) < length:
        rest += _received(connection)
    return int(head.split()[1]), rest


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("serve hung up")
    return data


@contextmanager
def asking(
    address: tuple[str, int], body: bytes, answers: list[bytes], *, clients: int, pause_s: float
) -> Iterator[list[Seen]]:
    """Give a list that holds what all clients saw when this ends."""
    seen: list[Seen] = []
    running = []
    for _ in range(clients):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(
            target=client, args=(address, body, answers, pause_s, theirs), daemon=True
        )
        process.start()
        running.append((process, ours))
    try:
        yield seen
    finally:
        for process, ours in running:
            ours.send("stop")
            if ours.poll(60):
                seen.append(Seen(*ours.recv()))
            process.join(60)


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024


@dataclass(frozen=True, slots=True)
class Told:
    """What the swaps were: their times, and what they came to."""

    windows: np.ndarray[Any, Any]  # of [start, end]
    load_ms: list[float]
    refused: int
    wrong: int  # orders that came to something else than they should
    memory: list[int]


def swaps(device: Device, serve: Serve, good: list[Release], bad: Release, *, count: int) -> Told:
    windows, load_ms, memory = [], [], []
    refused = wrong = 0
    for number in range(count):
        if number % BAD_EVERY == BAD_EVERY - 1:
            status, reply = ask(device.tree.control, "POST", "/control/activate", bad.order)
            refused += 1
            wrong += (status, reply.get("code")) != (409, "backend")
        release = good[(number + 1) % len(good)]
        start = time.monotonic()
        status, reply = ask(device.tree.control, "POST", "/control/activate", release.order)
        windows.append((start, time.monotonic()))
        wrong += status != 200
        load_ms.append(reply.get("load_ms", 0.0))
        if number % max(1, count // 20) == 0:
            memory.append(resident(serve.process.pid))
        time.sleep(0.01)
    memory.append(resident(serve.process.pid))
    return Told(np.array(windows), load_ms, refused, wrong, memory)


def within(seen: Seen, windows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return which requests were under way in any of ``windows``, which do not overlap."""
    ends = seen.starts + seen.took
    at = np.searchsorted(windows[:, 0], ends, side="right") - 1
    found: np.ndarray[Any, Any] = (at >= 0) & (seen.starts <= windows[np.maximum(at, 0), 1])
    return found


def back_after_a_kill(device: Device, serve: Serve, proven: Release) -> bool:
    """Kill serve, and tell whether another one answers with what the journal calls good."""
    serve.kill()
    with serving(f"--data={device.tree.root}") as again:
        found: dict[str, int] = again.ready["models"]
        return found == {MODEL: proven.manifest.release}


def measure(path: Path, *, count: int, clients: int, pause_s: float, quiet_s: float) -> list[Row]:
    data = path.read_bytes()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="littoral-")))
        device = Device(folder / "data")
        # Each release counts in a window of its own: a minute's would hold those of all swaps.
        (device.tree.root / "serve.toml").write_text("window_s = 2\n")
        files = releases(path)
        good = [
            device.add(MODEL, release=n + 1, data=file, golden_of=file)
            for n, file in enumerate(files)
        ]
        bad = device.add(MODEL, release=9, data=data[: len(data) // 3], golden_of=data)
        device.good(good[0])
        session = open_session("litert", data)
        inputs = noise(session.inputs, 1)[0]
        answers = [open_session("litert", file).run(*inputs)[0].tobytes() for file in files]
        body = request(inputs[0], session.inputs[0].name)
        serve = held.enter_context(serving(f"--data={device.tree.root}"))
        for release in (*good[1:], good[0]):  # what the first of each costs is paid
            ask(device.tree.control, "POST", "/control/activate", release.order)
        with asking(serve.address, body, answers, clients=clients, pause_s=pause_s) as seen:
            time.sleep(quiet_s / 4)
            quiet = (time.monotonic(), time.monotonic() + quiet_s)
            time.sleep(quiet_s)
            told = swaps(device, serve, good, bad, count=count)
        before = np.concatenate(
            [one.took[(one.starts >= quiet[0]) & (one.starts < quiet[1])] for one in seen]
        )
        during = np.concatenate([one.took[within(one, told.windows)] for one in seen])
        failed = sum(int((one.release < 0).sum()) for one in seen)
        kinds = len(set(answers))
        used = len(set(np.concatenate([one.release for one in seen]).tolist()) - {-1})
        came_back = back_after_a_kill(device, serve, good[0])
    asked = sum(len(one.took) for one in seen)
    p99 = {
        name: float(np.percentile(took, 99)) * 1e6
        for name, took in (("before", before), ("during", during))
    }
    # The allocator finds its level in the first thousand or so (in 6,000 swaps: 0.1 MiB after it).
    quarter = len(told.memory) // 4
    growth = float(
        np.median(told.memory[-quarter:]) - np.median(told.memory[-2 * quarter : -quarter])
    )
    return [
        {"what": "swaps", "value": count, "unit": ""},
        {"what": "requests meanwhile", "value": asked, "unit": ""},
        {"what": "failed requests", "value": failed, "unit": "", "most": 0},
        {"what": "releases that answered", "value": used, "unit": "", "least": kinds},
        {"what": "releases refused that no runtime takes", "value": told.refused, "unit": ""},
        {"what": "orders that went wrong", "value": told.wrong, "unit": "", "most": 0},
        {"what": "p50 before", "value": float(np.median(before)) * 1e6, "unit": "µs"},
        {"what": "p50 during a swap", "value": float(np.median(during)) * 1e6, "unit": "µs"},
        {"what": "p99 before", "value": p99["before"], "unit": "µs"},
        {"what": "p99 during a swap", "value": p99["during"], "unit": "µs"},
        {
            "what": "p99 during / before",
            "value": p99["during"] / p99["before"],
            "unit": "x",
            "most": 2,
        },
        {
            "what": "longest request",
            "value": max(float(one.took.max()) for one in seen) * 1e3,
            "unit": "ms",
        },
        {"what": "load, median", "value": float(np.median(told.load_ms)), "unit": "ms"},
        {"what": "memory", "value": told.memory[-1] / 2**20, "unit": "MiB"},
        {
            "what": "memory, last quarter over the third",
            "value": growth / 2**20,
            "unit": "MiB",
            "most": 1,
        },
        {
            "what": "killed, it came back with what is proven",
            "value": int(came_back),
            "unit": "",
            "least": 1,
        },
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHARED if SHARED.exists() else TINY)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=2.0, help="of a client, between two")
    parser.add_argument("--quiet", type=float, default=8.0, help="seconds before the swaps")
    chosen = parser.parse_args()
    rows = measure(
        chosen.model,
        count=chosen.swaps,
        clients=chosen.clients,
        pause_s=chosen.pause_ms / 1e3,
        quiet_s=chosen.quiet,
    )
    print(json.dumps({"rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
