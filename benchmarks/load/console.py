"""A console as its own process with a release of noise, and a fleet that enrolled with it."""

import os
import random
import re
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from simulators.console import ConsoleProcess, DeviceSimulator
from simulators.repository import RepositorySimulator

MODEL = "swarm"
EVERY_S = 0.02  # as the console looks at its own loop
PRIORITY = -5


@contextmanager
def console(folder: Path, host: str, *, size: int) -> Iterator[ConsoleProcess]:
    """Run a console whose devices' listener is on ``host``, with a release of ``size`` bytes."""
    publisher = RepositorySimulator(folder)
    # What no encoding makes smaller.
    files = {"model.tflite": random.Random(7).randbytes(size)}
    publisher.publish(publisher.bundle(MODEL, 1, files=files))
    arguments = ("--devices", f"{host}:0", "--broker", "none")
    with ConsoleProcess(folder, publisher, arguments=arguments) as found:
        found.upload()
        yield found


def enrol(console: ConsoleProcess, count: int) -> list[Path]:
    """Admit so many boards; return their folders."""

    def one(number: int) -> Path:
        return DeviceSimulator(console, f"swarm-{number}").folder

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


class Watch:
    """What this machine does to anybody meanwhile: how late it wakes who only sleeps."""

    def __init__(self) -> None:
        self._over, self.longest_s = threading.Event(), 0.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        over = False
        while not over:
            due = time.monotonic() + EVERY_S
            over = self._over.wait(EVERY_S)
            self.longest_s = max(self.longest_s, time.monotonic() - due)


def first(pid: int) -> None:
    """Let the process go before what else this machine has to do: that is nobody's figure."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(task.name), PRIORITY)


def forget_memory(pid: int) -> None:
    """Let the most of its memory be counted from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def most_memory(pid: int) -> int:
    """Return the most memory that the process had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def lag_within(before: dict[str, float], after: dict[str, float], share: float) -> float:
    """Return within how many seconds the loop was, that share of the times between."""
    bound = r'loop_lag_seconds_bucket\{le="(.+)"\}'
    counts = [
        (float(found[1].replace("+Inf", "inf")), after[name] - before[name])
        for name in after
        if (found := re.fullmatch(bound, name))
    ]
    most = counts[-1][1]
    return next(bound_s for bound_s, count in counts if count >= share * most)


def outcomes(console: ConsoleProcess, rollout: int) -> dict[str, int]:
    """Return how many devices came to each end, as the console knows it."""
    found: dict[str, int] = {}
    detail: Any = console.rest.get(f"rollouts/{rollout}")
    for device in detail["devices"]:
        found[device["outcome"]] = found.get(device["outcome"], 0) + 1
    return found
