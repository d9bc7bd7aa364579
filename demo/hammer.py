"""Clients that never pause: asks one model for one answer again and again, until SIGTERM.

    .venv/bin/python demo/hammer.py URL BODY.json TOLD.json --clients 8 --pause-ms 0

TOLD.json holds, renewed twice a second, how many requests were made, how many failed and why, and
for each client the answers in the order in which they came, each with how often it came in a row;
at the end also the latency. An answer is named by the first letters of its body's sha256.
"""

import argparse
import hashlib
import http.client
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Client(threading.Thread):
    """One connection, one request at a time."""

    def __init__(self, url: str, body: bytes, *, pause_s: float, over: threading.Event) -> None:
        super().__init__(daemon=True)
        where = urlsplit(url)
        self._host, self._path = where.netloc, where.path
        self._body, self._pause_s, self._over = body, pause_s, over
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self.answers: list[list[Any]] = []  # [name, how often in a row]

    def run(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=10)
        while not self._over.is_set():
            started = time.perf_counter()
            try:
                connection.request("POST", self._path, self._body)
                reply = connection.getresponse()
                self._note(reply.status, reply.read())
            except (OSError, http.client.HTTPException) as e:
                self.failures.append(repr(e))
                connection.close()
                self._over.wait(0.05)
            self.latencies.append(time.perf_counter() - started)
            if self._pause_s:
                self._over.wait(self._pause_s)
        connection.close()

    def _note(self, status: int, body: bytes) -> None:
        if status != http.HTTPStatus.OK:
            self.failures.append(f"{status}: {body[:200]!r}")
            return
        name = hashlib.sha256(body).hexdigest()[:12]
        if self.answers and self.answers[-1][0] == name:
            self.answers[-1][1] += 1
        else:
            self.answers.append([name, 1])


def summary(clients: list[Client], seconds: float) -> dict[str, Any]:
    failures = [words for client in clients for words in client.failures]
    return {
        "clients": len(clients),
        "requests": sum(len(client.latencies) for client in clients),
        "failed": len(failures),
        "failures": failures[:5],
        "seconds": round(seconds, 2),
        "answers": [client.answers for client in clients],
    }


def latency(clients: list[Client]) -> dict[str, float]:
    latencies = sorted(s for client in clients for s in client.latencies) or [0.0]
    at = {f"p{100 * q:g}": int(q * (len(latencies) - 1)) for q in (0.5, 0.95, 0.99)}
    return {name: round(1000 * latencies[i], 3) for name, i in at.items()}


def tell(path: Path, told: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(told))
    beside.replace(path)


def main(args: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("body", type=Path)
    parser.add_argument("told", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pause-ms", type=float, default=0)
    asked = parser.parse_args(args)
    over = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: over.set())
    body, pause_s = asked.body.read_bytes(), asked.pause_ms / 1000
    clients = [Client(asked.url, body, pause_s=pause_s, over=over) for _ in range(asked.clients)]
    started = time.monotonic()
    for client in clients:
        client.start()
    while not over.wait(0.5):
        tell(asked.told, summary(clients, time.monotonic() - started))
    for client in clients:
        client.join(15)
    told = summary(clients, time.monotonic() - started)
    tell(asked.told, told | {"latency_ms": latency(clients)})


if __name__ == "__main__":
    main(sys.argv[1:])
