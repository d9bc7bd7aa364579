"""500 devices fetch one release of 5 MB at once from one console, over one line.

    benchmarks/fetching.py [--devices N] [--bytes N] [--mbit N, 0: loopback] [--processes N]

The console is a process of its own with all that it has but a broker: TLS, its database, its
repository. The devices (``load/swarm.py``) wait by long poll, and hear of it when it is pushed. The
ideal is what the line needs for all their payload; a device is done when the console committed
its last report. Root, for the line is a network namespace and a token bucket (``load/line.py``).
Devices have processors of their own, so here the console goes before them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from load import console as consoles
from load import line as lines
from load import swarm
from simulators.console import ConsoleProcess

Row = dict[str, object]
SHM = Path("/dev/shm")
WITHIN_S = 1500


@contextmanager
def folder() -> Iterator[Path]:
    """Lend a folder in memory, if there is one: 500 devices' files are no disk's measure."""
    where = SHM if os.access(SHM, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="littoral-load-", dir=where) as made:
        yield Path(made)


def main(*words: str) -> dict[str, Any]:
    asked = _asked(words)
    if asked.mbit and (why := lines.possible()):
        return {"skipped": why}
    with ExitStack() as stack:
        base = stack.enter_context(folder())
        wire = stack.enter_context(lines.line(asked.mbit * 1_000_000)) if asked.mbit else None
        host = wire.here if wire else "127.0.0.1"
        console = stack.enter_context(consoles.console(base, host, size=asked.bytes))
        devices = consoles.enrol(console, asked.devices)
        job = swarm.Job(
            url=console.ready["devices"],
            ca=str(console.data / "tls" / "console-ca.crt"),
            root=str(console.publisher.folder / "metadata" / "1.root.json"),
            model=consoles.MODEL,
            release=1,
            devices=(),
        )
        swarms = [
            stack.enter_context(_swarm(job, devices[k :: asked.processes], wire))
            for k in range(asked.processes)
        ]
        return _measured(asked, console, swarms, wire)


def _measured(
    asked: argparse.Namespace,
    console: ConsoleProcess,
    swarms: list["subprocess.Popen[str]"],
    wire: lines.Wire | None,
) -> dict[str, Any]:
    for one in swarms:
        assert one.stdout is not None
        one.stdout.readline()
    time.sleep(2)  # until all polls wait
    if os.geteuid() == 0:
        consoles.first(console.pid)
    consoles.forget_memory(console.pid)
    idle = consoles.most_memory(console.pid)
    before, framed = console.metrics(), lines.sent_bytes(wire) if wire else 0
    with consoles.Watch() as watch:
        begun = time.monotonic()
        rollout = console.push(f"{consoles.MODEL}:1")
        told = [found for one in swarms for found in _told(one)]
    after, memory = console.metrics(), consoles.most_memory(console.pid)
    healthy = consoles.outcomes(console, rollout).get("healthy", 0)
    rows = [
        {
            "what": "done, as the console knows it",
            "value": healthy,
            "unit": "",
            "least": asked.devices,
        },
        *_of_devices(told, begun),
    ]
    if wire:
        framed = lines.sent_bytes(wire) - framed
        rows += _of_line(told, begun, bits_per_s=asked.mbit * 1_000_000, framed=framed)
    rows += _of_console(before, after)
    rows += [
        {"what": "who only slept meanwhile, latest", "value": 1000 * watch.longest_s, "unit": "ms"},
        {"what": "console's memory before", "value": idle / 2**20, "unit": "MiB"},
        {"what": "console's memory, most", "value": memory / 2**20, "unit": "MiB"},
    ]
    return {"rows": rows}


def _of_devices(told: list[swarm.Told], begun: float) -> list[Row]:
    errors = [one.error for one in told if one.error]
    for error in errors[:3]:
        print(error, file=sys.stderr)
    done = _done(told, begun)
    whole = sorted(one.whole_s - begun for one in told if not one.error) or [0.0]
    came = sum(one.bytes for one in told)
    return [
        {"what": "devices", "value": len(told), "unit": ""},
        {"what": "errors", "value": len(errors), "unit": "", "most": 0},
        {"what": "asked again", "value": sum(one.again for one in told), "unit": ""},
        {"what": "payload", "value": came / 1e6, "unit": "MB"},
        {"what": "all heard of it", "value": max(o.heard_s for o in told) - begun, "unit": "s"},
        {"what": "whole, p95", "value": _p95(whole), "unit": "s"},
        {"what": "done, median", "value": statistics.median(done), "unit": "s"},
        {"what": "done, p95", "value": _p95(done), "unit": "s"},
        {"what": "done, last", "value": done[-1], "unit": "s"},
        {"what": "rate of payload", "value": came * 8e-6 / done[-1], "unit": "Mbit/s"},
    ]


def _of_line(told: list[swarm.Told], begun: float, *, bits_per_s: int, framed: int) -> list[Row]:
    ideal = sum(one.bytes for one in told) * 8 / bits_per_s
    late = _p95(_done(told, begun)) / ideal
    return [
        {"what": "ideal share of the line", "value": ideal, "unit": "s"},
        {"what": "p95 to the ideal", "value": late, "unit": "x", "most": 1.5},
        {"what": "sent, frames and all", "value": framed / 1e6, "unit": "MB"},
    ]


def _of_console(before: dict[str, float], after: dict[str, float]) -> list[Row]:
    longest, most = (1000 * consoles.lag_within(before, after, share) for share in (1, 0.99))
    cpu_s = after["cpu_seconds_total"] - before["cpu_seconds_total"]
    return [
        {"what": "event loop's lag, longest within", "value": longest, "unit": "ms", "most": 100},
        {"what": "event loop's lag, 99 % within", "value": most, "unit": "ms"},
        {"what": "console's processor time", "value": cpu_s, "unit": "s"},
    ]


def _done(told: list[swarm.Told], begun: float) -> list[float]:
    """Return after how many seconds each was done, in order."""
    return sorted(one.done_s - begun for one in told if not one.error) or [0.0]


@contextmanager
def _swarm(
    job: swarm.Job, devices: list[Path], wire: lines.Wire | None
) -> Iterator["subprocess.Popen[str]"]:
    there = wire.there if wire else ()
    words = (*there, "nice", "-n", "10", sys.executable, str(Path(swarm.__file__)))
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    try:
        named = asdict(job) | {"devices": [str(device) for device in devices]}
        process.stdin.write(json.dumps(named) + "\n")
        process.stdin.close()
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _told(process: "subprocess.Popen[str]") -> list[swarm.Told]:
    assert process.stdout is not None
    return [swarm.Told(**json.loads(line)) for line in process.stdout]


def _p95(values: list[float]) -> float:
    return values[min(len(values) - 1, round(0.95 * len(values)))]


def _asked(given: Sequence[str]) -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--devices", type=int, default=500)
    words.add_argument("--bytes", type=int, default=5_000_000)
    words.add_argument("--mbit", type=int, default=100)
    words.add_argument("--processes", type=int, default=4)
    return words.parse_args(given)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
