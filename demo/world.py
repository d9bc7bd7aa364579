"""The world of the story: its folders, its addresses, and what is asked of it again and again.

Everything goes through the command ``littoral`` and over HTTP, as anybody would do it.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rest import Rest, predict
from stage import BIN, Process, Stage, UnmetError, expect, free_port, wait_for

MODEL = "digits"
DEVICE = "porch"
FLEET = "shore"
HERE = Path(__file__).parent

AGENT_TOML = """\
# Small enough to watch: a day of probation in seconds.
poll_every_s = 5
probation_s = 2
probation_requests = 10
serve_poll_s = 0.3
telemetry_window_s = 4
telemetry_probation_window_s = 2
retry_first_s = 0.2
retry_most_s = 2
"""
SERVE_TOML = """\
window_s = 2
"""


@dataclass(slots=True)
class World:
    stage: Stage
    console: str = ""  # people's address
    devices: str = ""  # the devices'
    serve: str = ""
    broker: str | None = None
    token: str | None = None  # for the console's REST API
    ports: tuple[int, int, int] = field(
        default_factory=lambda: (free_port(), free_port(), free_port())
    )
    accuracy: dict[int, float] = field(default_factory=dict)  # INT8, by release

    @property
    def work(self) -> Path:
        return self.stage.work

    @property
    def models(self) -> Path:
        return self.work / "models"

    @property
    def publisher(self) -> Path:
        return self.work / "publisher"

    @property
    def console_data(self) -> Path:
        return self.work / "console"

    @property
    def device_data(self) -> Path:
        return self.work / "device"

    def bundle(self, name: str) -> Path:
        return self.work / "bundles" / name

    def fleet(self, *args: str | Path, within_s: float = 60) -> Any:  # noqa: ANN401
        return self.stage.littoral("fleet", *args, within_s=within_s)

    def rest(self, path: str) -> Any:  # noqa: ANN401
        """Return what the console's REST API answers: a poll need not start a program."""
        with Rest(self.console, bearer=self.token) as people:
            return people.get(f"/api/v1{path}")

    def device(self) -> dict[str, Any]:
        """Return what the console knows of the device."""
        return dict(self.rest(f"/devices/{DEVICE}")["device"])

    def on_device(self) -> dict[str, Any]:
        """Return what the console knows of the model on the device."""
        found = [row for row in self.device()["models"] if row["model"] == MODEL]
        expect(len(found) == 1, f"the model {MODEL!r} on the device", self.device()["models"])
        return dict(found[0])

    def history(self) -> list[dict[str, Any]]:
        """Return what the device reported, newest first."""
        return list(self.rest("/history?limit=100"))

    def publish(self, bundle: Path) -> dict[str, Any]:
        """Sign the release where its keys are, and send it to the console."""
        repository, offline = self.publisher / "repo", self.publisher / "offline"
        told = self.stage.littoral("publish", bundle, "--repo", repository, "--offline", offline)
        self.fleet("releases", "upload", repository)
        return dict(told)

    def push(self, release: int, *more: str) -> None:
        self.fleet("push", f"{MODEL}:{release}", *more)

    def wait_running(self, release: int, *, within_s: float = 60) -> dict[str, Any]:
        """Return the device's row once ``release`` is proven there and answers."""

        def probe() -> dict[str, Any] | None:
            row = self.on_device()
            if row["state"] == "idle" and row["release"] == row["good"] == release:
                return row
            raise UnmetError(f"release {release} idle", row)

        wanted = f"release {release} to be proven on {DEVICE}"
        return wait_for(wanted, probe, within_s=within_s, of=self.stage.processes.get("device"))

    def wait_refused(self, release: int, code: str, *, within_s: float = 60) -> dict[str, Any]:
        """Return the report that says why ``release`` did not take."""

        def probe() -> dict[str, Any] | None:
            for row in reversed(self.history()):
                if row.get("code") and row.get("release") == release:
                    return dict(row)
            raise UnmetError(f"release {release} refused", self.history()[:1])

        wanted = f"release {release} to be refused on {DEVICE}"
        row = wait_for(wanted, probe, within_s=within_s, of=self.stage.processes.get("device"))
        expect(row["code"] == code, f"release {release} refused with the code {code!r}", row)
        return row

    def sample(self) -> list[Any]:
        """Return the one image that all the clients ask about."""
        body = json.loads((self.work / "sample.json").read_text())
        return list(body["instances"])

    def answer(self) -> list[float]:
        return predict(self.serve, MODEL, self.sample())[0]

    def start_load(self, *, clients: int, pause_ms: float = 0) -> None:
        """Let clients ask for the sample all the time, until ``end_load``."""
        told = self.work / "logs" / "hammer.json"
        told.unlink(missing_ok=True)
        url = f"{self.serve}/v1/models/{MODEL}:predict"
        self.stage.start(
            "hammer",
            *(sys.executable, HERE / "hammer.py", url, self.work / "sample.json", told),
            *("--clients", str(clients), "--pause-ms", str(pause_ms)),
        )
        wait_for("the clients' first requests", lambda: self.load().requests or None, within_s=20)

    def load(self) -> "Load":
        """Return what the clients have met so far."""
        return Load(**json.loads((self.work / "logs" / "hammer.json").read_text()))

    def end_load(self) -> "Load":
        self.stage.stop("hammer")
        return self.load()

    def start_console(self, *more: str) -> Process:
        """Start the console on its own ports, and wait until it listens."""
        people, devices, _ = self.ports
        (self.console_data / "console.json").unlink(missing_ok=True)
        process = self.stage.start(
            "console",
            *(BIN / "littoral", "console", "--data", self.console_data, "--json"),
            *("--http", f"127.0.0.1:{people}", "--devices", f"127.0.0.1:{devices}", *more),
        )
        where = self._console_ready(process)
        self.console, self.devices, self.broker = where["http"], where["devices"], where["broker"]
        return process

    def _console_ready(self, process: Process) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            where = self.console_data / "console.json"
            return dict(json.loads(where.read_text())) if where.exists() else None

        where = wait_for("the console to listen", probe, within_s=30, of=process)

        def healthy() -> bool | None:
            with Rest(where["http"]) as people:
                return people.raw("GET", "/healthz")[0] == 200 or None

        wait_for("the console to be healthy", healthy, within_s=30, of=process)
        return where

    def start_device(self) -> Process:
        """Start agent and serve, supervised."""
        listen = ("--http", f"127.0.0.1:{self.ports[2]}")
        self.serve = f"http://{listen[1]}"
        return self.stage.start(
            "device", BIN / "littoral", "run", "--data", self.device_data, *listen
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the clients met: see hammer.py."""

    clients: int
    requests: int
    failed: int
    failures: list[str]
    seconds: float
    answers: list[list[tuple[str, int]]]
    latency_ms: dict[str, float] = field(default_factory=dict)

    def check(self, *, answers: int) -> None:
        """Expect no failed request, and every client to have seen so many answers, in one order."""
        expect(self.failed == 0, "no failed request", self.failures)
        orders = {tuple(name for name, _ in seen) for seen in self.answers}
        expect(
            len(orders) == 1 and len(next(iter(orders))) == answers,
            f"every client to see {answers} answers, one after the other",
            orders,
        )
