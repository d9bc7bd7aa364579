"""The agent and the console, both real: what the one decides, the other does and tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from littoral.tree import Tree
from littoral_agent.enroll import enroll
from simulators.console import ConsoleProcess, needs_broker, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator


class Coast:
    def __init__(self, folder: Path, console: ConsoleProcess, repo: RepositorySimulator) -> None:
        self.console, self.repo = console, repo
        self.tree = Tree(folder / "device")
        self.tree.make()
        self.tree.settings.write_text(SETTINGS)
        self.serve = ServeSimulator(self.tree)
        self.log = folder / "agent.log"

    @contextmanager
    def agent(self) -> Iterator[AgentProcess]:
        process = AgentProcess(self.tree, self.log)
        try:
            yield process
        finally:
            process.kill()

    def device(self) -> dict[str, Any]:
        return self.console.device("pi-7")

    def runs(self, release: int) -> bool:
        models = self.device()["device"]["models"]
        return any(m["model"] == "digits" and m["release"] == release for m in models)

    def complete(self) -> bool:
        """Whether the console has every message, and knows of none that is lost."""
        streams = self.device()["streams"]
        assert all(one["lost"] == 0 for one in streams)
        return all(one["acked"] == one["highest"] for one in streams)

    def until(self, found: Any, what: str) -> None:
        try:
            until(found, what, limit_s=30)
        except AssertionError as e:
            e.add_note(self.log.read_text()[-6000:])
            e.add_note((self.console.base / "console.log").read_text()[-3000:])
            raise


@pytest.fixture(params=["auto", "none"])
def coast(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Coast]:
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        with ConsoleProcess(tmp_path, repo, arguments=("--broker", request.param)) as console:
            console.upload()
            coast = Coast(tmp_path, console, repo)
            with coast.serve:
                enroll(console.ready["devices"], console.token(), coast.tree, name="pi-7")
                yield coast


@needs_broker
@pytest.mark.slow
def test_a_push_becomes_what_the_device_runs_and_the_console_shows(coast: Coast) -> None:
    with coast.agent():
        coast.console.push("digits:1")
        coast.until(lambda: coast.runs(1), "release 1 runs")
        coast.console.kill()
        coast.console.start()
        coast.console.push("digits:2")
        coast.until(lambda: coast.runs(2), "release 2 runs")
        assert coast.serve.running == {"digits": 2}
    with coast.agent() as agent:
        agent.kill()
    with coast.agent():
        coast.console.push("digits:1")
        coast.until(lambda: coast.runs(1), "release 1 runs again")
        coast.until(coast.complete, "all reports")
