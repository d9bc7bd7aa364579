"""The host: the releases' keys, the console with its broker, and what they know of devices.

All is done by the command ``littoral`` and over HTTP, as people do it.
"""

import contextlib
import json
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from boot.bundles import Release
from boot.ground import HOST
from rest import Rest
from stage import BIN, Stage, UnmetError, expect, wait_for

USER: Final = "keeper"
PASSWORD: Final = "only-for-the-boots"
_HTTP: Final = "127.0.0.1:8080"


@dataclass(slots=True)
class House:
    stage: Stage
    token: str = ""
    broker: str | None = None
    releases: dict[str, Release] = field(default_factory=dict)  # by MODEL:RELEASE
    began: list[str] = field(default_factory=list)  # models that have a key

    @property
    def data(self) -> Path:
        return self.stage.work / "console"

    @property
    def repo(self) -> Path:
        return self.stage.work / "publisher/repo"

    @property
    def offline(self) -> Path:
        return self.stage.work / "publisher/offline"

    @property
    def devices(self) -> str:
        return f"https://{HOST}:8443"

    def begin(self) -> None:
        """Make keys and a repository, start the console, log in."""
        apart = ("--offline", self.offline, "--online", self.data / "keys")
        self.stage.littoral("repo", "init", self.repo, *apart, "--fleet", "shore")
        self.start()
        code = (self.data / "first-login").read_text().strip()
        login = ("--username", USER, "--password", PASSWORD)
        self.fleet("login", f"http://{_HTTP}", "--code", code, *login)
        with Rest(f"http://{_HTTP}") as people:
            body = {"username": USER, "password": PASSWORD}
            self.token = people.post("/api/v1/login", body)["token"]
        if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin"):
            expect(self.broker is not None, "a broker, for Mosquitto is installed", self.broker)

    def start(self) -> None:
        told = self.data / "console.json"
        told.unlink(missing_ok=True)
        where = ("--http", _HTTP, "--devices", f"{HOST}:8443", "--name", HOST)
        process = self.stage.start(
            "console", BIN / "littoral", "console", "--data", self.data, "--json", *where
        )

        def ready() -> bool | None:
            with Rest(f"http://{_HTTP}") as people:
                return (told.exists() and people.raw("GET", "/healthz")[0] == 200) or None

        wait_for("the console to listen", ready, within_s=60, of=process)
        self.broker = json.loads(told.read_text())["broker"]

    @staticmethod
    def command(*args: str) -> tuple[str | Path, ...]:
        """Return the words of ``littoral fleet ARGS``, whose answer is text."""
        return (BIN / "littoral", "fleet", *args)

    def fleet(self, *args: str | Path) -> Any:
        return self.stage.littoral("fleet", *args, within_s=90)

    def rest(self, path: str) -> Any:
        with Rest(f"http://{_HTTP}", bearer=self.token) as people:
            return people.get(f"/api/v1{path}")

    def publish(self, release: Release) -> None:
        """Sign the release where its keys are, and send it to the console."""
        name = release.model
        if name not in self.began:
            self.stage.littoral("repo", "delegate", self.repo, name, "--offline", self.offline)
            self.began.append(name)
        offline = ("--repo", self.repo, "--offline", self.offline)
        self.stage.littoral("publish", release.folder, *offline)
        self.fleet("releases", "upload", self.repo)
        self.releases[f"{name}:{release.release}"] = release

    def push(self, release: str, device: str) -> None:
        self.fleet("push", release, "--to", device)

    def device(self, name: str) -> dict[str, Any]:
        return dict(self.rest(f"/devices/{name}")["device"])

    def wait_online(self, name: str, *, within_s: float = 60) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            found = self.device(name)
            return found if found["online"] else None

        return wait_for(f"{name} to be online", probe, within_s=within_s)

    def wait_running(self, name: str, release: str, *, within_s: float = 90) -> dict[str, Any]:
        """Return the device's row once ``release`` is proven on it."""
        model, _, number = release.partition(":")

        def probe() -> dict[str, Any] | None:
            rows = [row for row in self.device(name)["models"] if row["model"] == model]
            for row in rows:
                if row["state"] == "idle" and row["release"] == row["good"] == int(number):
                    return dict(row)
            raise UnmetError(f"{release} idle", rows)

        return wait_for(f"{release} to be proven on {name}", probe, within_s=within_s)

    def reports(self, name: str, *, within_s: float = 60) -> int:
        """Return how many reports the console has of the device: none lost, none twice."""

        def probe() -> int | None:
            rows = self._query(
                "SELECT stream, count(*), count(DISTINCT sequence), min(sequence), max(sequence)"
                " FROM reports WHERE device = ? GROUP BY incarnation, stream",
                name,
            )
            for stream, many, different, first, last in rows:
                if not many == different == last - first + 1 or first != 1:
                    raise UnmetError("each report once", (stream, many, different, first, last))
            return sum(many for _, many, _, _, _ in rows) or None

        return wait_for(f"each report of {name} exactly once", probe, within_s=within_s)

    def counted(self, name: str, model: str) -> int:
        """Return how many requests the device's telemetry has told of."""
        rows = self.rest(f"/telemetry?model={model}&stage=invoke&to={name}&by=model")
        return sum(int(row["count"]) for row in rows)

    def lost(self, name: str) -> int:
        """Return how many messages the device itself says it had to drop."""
        return sum(int(one["lost"]) for one in self.rest(f"/devices/{name}")["streams"])

    def _query(self, words: str, *values: str) -> list[Any]:
        database = sqlite3.connect(f"file:{self.data}/littoral.db?mode=ro", uri=True)
        with contextlib.closing(database):
            return database.execute(words, values).fetchall()
