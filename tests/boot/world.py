"""The world of the story: host, machines, packages, and what is asked again and again."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from boot.bundles import STEPS, Release, bundle, write_sample
from boot.ground import Ground
from boot.house import House
from boot.machine import Machine
from boot.trees import ROOT, Kind
from littoral.client import Client
from littoral.errors import LittoralError
from stage import Stage, UnmetError, expect, tail, wait_for
from world import Load

DEVICE: Final = "pi-7"
MODEL: Final = "digits"
HAMMER: Final = ROOT / "demo/hammer.py"
# A day of probation in seconds; all else is as a device has it.
SETTINGS: Final = """\
poll_every_s = 5
probation_s = 2
probation_requests = 10
serve_poll_s = 0.3
telemetry_window_s = 4
telemetry_probation_window_s = 2
retry_first_s = 0.2
retry_most_s = 2
disk_reserve_bytes = 1048576
"""


@dataclass(slots=True)
class World:
    stage: Stage
    kind: Kind
    tree: Path
    packages: dict[str, Path]  # agent, newer (of the agent), console
    cuts: int
    mobilenet: Path | None = None
    ground: Ground = field(default_factory=Ground)
    house: House = field(init=False)
    device: Machine = field(init=False)
    second: Machine = field(init=False)  # which enrols by a file on its card
    machines: list[Machine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.house = House(self.stage)

    @property
    def slow(self) -> float:
        return self.device.slow

    def end(self) -> None:
        """Cut the power of all machines."""
        for machine in self.machines:
            machine.cut()

    def explain(self) -> None:
        """Print the last words of the machines' services, and of the host's processes."""
        for machine in self.machines:
            machine.tell()
        for name in self.stage.processes:
            log = self.stage.work / "logs" / f"{name}.log"
            sys.stderr.write(f"--- {name}\n{tail(log, 30)}\n")

    def machine(self, name: str, tree: Path | None = None) -> Machine:
        made = Machine.of(
            tree or self.tree, name, kind=self.kind, ground=self.ground, work=self.stage.work
        )
        self.machines.append(made)
        return made

    def install(self, machine: Machine, package: str, *more: str) -> float:
        """Install a package by apt, as docs/install.md says; return the seconds."""
        deb = self.packages[package]
        shutil.copy(deb, machine.root / "root" / deb.name)
        started = time.monotonic()
        words = ["apt-get", "install", "--yes", "--no-install-recommends", *more]
        machine.run(*words, f"/root/{deb.name}", within_s=300)
        return round(time.monotonic() - started, 1)

    def release(self, model: str, number: int, source: Path) -> Release:
        """Make, sign and upload a release."""
        made = bundle(self.stage.work / f"bundles/{model}-{number}", model, number, source)
        self.house.publish(made)
        return made

    def client(self, machine: Machine | None = None) -> Client:
        machine = machine or self.device
        socket = machine.inside("/run/littoral/serve.sock")
        return Client(f"unix://{socket}", timeout_s=30 * machine.slow)

    def serves(self, model: str = MODEL, *, within_s: float = 60) -> str:
        """Return which release answers, once one does, and check that its answers are its own."""

        def probe() -> str | None:
            try:
                with self.client() as client:
                    name = f"{model}:{client.release(model)}"
                    release = self.house.releases[name]
                    got = client.predict(model, release.inputs[:4], signature="raw")
            except LittoralError as e:
                raise UnmetError("an answer", e) from e
            most = self.differ(got, release.outputs[:4])
            return name if most <= self.steps else None

        return wait_for(f"{model} to answer as it should", probe, within_s=within_s * self.slow)

    @property
    def steps(self) -> int:
        """Return how far a stored output may be from this machine's."""
        return STEPS if self.kind.foreign else 0

    @staticmethod
    def differ(got: Any, wanted: Any) -> int:
        expect(got.shape == wanted.shape, f"outputs of {wanted.shape}", got.shape)
        return int(np.abs(got.astype(np.int64) - wanted.astype(np.int64)).max())

    def wait_running(self, release: str, *, within_s: float = 90) -> dict[str, Any]:
        return self.house.wait_running(DEVICE, release, within_s=within_s * self.slow)

    def whole(self) -> int:
        """Check that a model answers, every report arrived once, and none was dropped."""
        self.serves()
        reports = self.house.reports(DEVICE, within_s=60 * self.slow)
        expect(self.house.lost(DEVICE) == 0, "no message lost", self.house.lost(DEVICE))
        return reports

    @contextmanager
    def load(self, *, clients: int = 2, pause_ms: int = 5) -> Iterator[list[Load]]:
        """Let clients of the device ask all the while; what they met is there at the end."""
        sample, told = (self.stage.work / name for name in ("sample.json", "hammer.json"))
        write_sample(self.house.releases[f"{MODEL}:1"], sample)
        told.unlink(missing_ok=True)
        url = f"http://127.0.0.1:8501/v1/models/{MODEL}:predict"
        self.stage.start(
            "hammer",
            *("ip", "netns", "exec", self.device.name, sys.executable, HAMMER, url, sample, told),
            *("--clients", str(clients), "--pause-ms", str(pause_ms)),
        )
        wait_for("the clients' first requests", lambda: told.exists() or None, within_s=20)
        met: list[Load] = []
        yield met
        self.stage.stop("hammer")
        met.append(Load(**json.loads(told.read_text())))
