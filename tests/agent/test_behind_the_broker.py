"""A device that reaches nothing but the broker: the agent, the console and the broker are real."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from littoral.bundle.manifest import NAME, Manifest
from littoral.tree import Tree
from littoral_agent import identity
from littoral_agent.enroll import enroll
from simulators.console import ConsoleProcess, needs_broker, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

pytestmark = [needs_broker, pytest.mark.slow]
NOBODY = "https://127.0.0.1:1"
RATE = 400_000
SOME = 200_000
VECTORS = 74  # bytes of the release's other files
WEIGHTS = bytes(range(253)) * 4000  # 1 MB


class Island:
    """A device whose HTTPS is dead; the console sends no faster than ``RATE``."""

    def __init__(self, base: Path, sources: str) -> None:
        self.repo = RepositorySimulator(base)
        bundle = self.repo.bundle("digits", 1, files={"model.tflite": WEIGHTS})
        self.repo.publish(bundle)
        file = Manifest.from_json((bundle / NAME).read_bytes()).files["model.tflite"]
        self.console = ConsoleProcess(base, self.repo, arguments=("--blob-rate", str(RATE)))
        self.tree, self.log = Tree(base / "device"), base / "agent.log"
        self.tree.make()
        self.tree.settings.write_text(f"{SETTINGS}\nsources = {sources}\n")
        self.part, self.blob = self.tree.part(file.sha256), self.tree.blob(file.sha256)
        self.serve = ServeSimulator(self.tree)

    @contextmanager
    def inhabited(self) -> Iterator["Island"]:
        with self.console, self.serve:
            self.console.upload()
            enroll(self.console.ready["devices"], self.console.token(), self.tree, name="pi-7")
            who = identity.of(self.tree)
            enrolment = who.read()
            assert enrolment is not None
            who.write(replace(enrolment, url=NOBODY))
            yield self

    @contextmanager
    def agent(self) -> Iterator[AgentProcess]:
        process = AgentProcess(self.tree, self.log)
        try:
            yield process
        finally:
            process.kill()

    @property
    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def until(self, found: Any, what: str) -> None:
        try:
            until(found, what, limit_s=30)
        except AssertionError as e:
            e.add_note(self.log.read_text()[-6000:])
            e.add_note((self.console.base / "console.log").read_text()[-3000:])
            raise

    def is_good(self) -> bool:
        models = self.console.device("pi-7")["device"]["models"]
        return any(one["good"] == 1 for one in models)

    def fetched(self) -> float:
        """Return how many bytes the last agent brought, as it reported."""
        history = self.console.rest.get("history", device="pi-7")
        return float(next(o["figures"]["bytes"] for o in history if o["event"] == "fetched"))


@pytest.mark.parametrize("sources", ['["mqtt"]', '["https", "mqtt"]'])
def test_a_release_comes_whole_where_only_the_broker_can_be_reached(
    tmp_path: Path, sources: str
) -> None:
    with Island(tmp_path, sources).inhabited() as island, island.agent():
        island.console.push("digits:1")
        island.until(island.is_good, "it is good")
        assert island.blob.read_bytes() == WEIGHTS
        assert island.console.device("pi-7")["device"]["clock"] == "signed"


def test_an_agent_that_is_killed_on_the_way_brings_what_is_missing(tmp_path: Path) -> None:
    with Island(tmp_path, '["mqtt"]').inhabited() as island:
        with island.agent():
            island.console.push("digits:1")
            island.until(lambda: island.arrived > SOME, "a part of it")
        held = island.arrived
        with island.agent():
            island.until(island.is_good, "it is good")
            assert held >= SOME
            assert island.fetched() <= len(WEIGHTS) - held + VECTORS
        assert island.blob.read_bytes() == WEIGHTS


def test_a_console_that_is_killed_on_the_way_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with Island(tmp_path, '["mqtt"]').inhabited() as island, island.agent():
        island.console.push("digits:1")
        island.until(lambda: island.arrived > SOME, "a part of it")
        island.console.kill()  # and the broker with it
        held = island.arrived
        island.console.start()
        island.until(island.is_good, "it is good")
        assert held < len(WEIGHTS)
        assert island.blob.read_bytes() == WEIGHTS
