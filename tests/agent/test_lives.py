"""The agent and the console, both real, as a device's identity goes through its life.

Over the broker, and over HTTPS where there is none.
"""

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from littoral.tree import Tree
from littoral_agent import certificate
from littoral_agent.enroll import enroll
from patience import patient, times
from simulators.console import ConsoleProcess, needs_broker, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

QUICK = SETTINGS + "denied_retry_s = 0.5\n"


class Coast:
    """One board, its console, and what each of them says."""

    def __init__(self, folder: Path, console: ConsoleProcess) -> None:
        self.folder, self.console = folder, console
        self.tree = Tree(folder / "device")
        self.tree.make()
        self.tree.settings.write_text(QUICK)
        self.serve = ServeSimulator(self.tree)
        self.log = folder / "agent.log"
        self.agents: list[AgentProcess] = []

    def start(self, tree: Tree | None = None) -> AgentProcess:
        agent = AgentProcess(tree or self.tree, self.log)
        self.agents.append(agent)
        return agent

    def enrol(self, **more: object) -> None:
        enroll(self.console.ready["devices"], self.console.token(**more), self.tree, name="pi-7")

    @property
    def device(self) -> dict[str, Any]:
        found: dict[str, Any] = self.console.device("pi-7")["device"]
        return found

    @property
    def live(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.tree.sockets / "agent.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found

    @property
    def short(self) -> str:
        return certificate.read(self.tree.identity / "device.crt").short

    def until(self, found: Any, what: str, *, limit_s: float = 40) -> None:
        try:
            until(found, what, limit_s=limit_s)
        except AssertionError as e:
            e.add_note(self.log.read_text()[-6000:])
            e.add_note((self.console.base / "console.log").read_text()[-3000:])
            raise

    def complete(self) -> bool:
        """Whether the console has every report of this incarnation, and lost none."""
        streams = self.console.device("pi-7")["streams"]
        assert all(one["lost"] == 0 for one in streams)
        return bool(streams) and all(one["acked"] == one["highest"] for one in streams)


@pytest.fixture(params=["auto", "none"], ids=["broker", "https"])
def coast(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Coast]:
    with RepositorySimulator(tmp_path) as repo:
        repo.publish(repo.bundle("digits", 1))
        with ConsoleProcess(tmp_path, repo, arguments=("--broker", request.param)) as console:
            console.upload()
            coast = Coast(tmp_path, console)
            with coast.serve:
                coast.enrol()
                try:
                    yield coast
                finally:
                    for agent in coast.agents:
                        agent.kill()


@needs_broker
def test_a_revoked_device_says_so_serves_on_and_is_healed_by_enrolling_anew(coast: Coast) -> None:
    agent = coast.start()
    coast.console.push("digits:1")
    coast.until(lambda: coast.device["wanted"][0]["outcome"] == "healthy", "release 1")
    began = time.monotonic()
    coast.console.rest.post("devices/pi-7/revoke")
    coast.until(lambda: coast.live.get("code") == "revoked", "its word for it")
    assert time.monotonic() - began < patient(10)
    assert coast.live["up"] is False
    assert "littoral enroll" in coast.live["words"]
    assert "[revoked]" in coast.log.read_text()
    assert coast.serve.running == {"digits": 1}
    coast.enrol(device="pi-7")
    coast.until(lambda: coast.device["incarnation"] == 2 and coast.device["online"], "the second")
    coast.until(lambda: coast.live.get("code") is None and coast.live["up"], "its word for it")
    assert agent.process.poll() is None, "nobody restarted it"
    assert coast.serve.running == {"digits": 1}


@needs_broker
@pytest.mark.parametrize("coast", ["auto"], indirect=True)
def test_where_only_the_broker_is_to_be_had_it_says_what_a_broker_knows(coast: Coast) -> None:
    coast.tree.settings.write_text(QUICK + 'channel = "mqtt"\n')
    coast.console.rest.post("devices/pi-7/revoke")
    coast.start()
    coast.until(lambda: coast.live.get("code") == "denied", "its word for it")
    assert "revoked, frozen or enrolled anew" in coast.live["words"]
    assert coast.live["up"] is False
    coast.enrol(device="pi-7")
    coast.until(lambda: coast.device["online"] and coast.live["up"], "it is healed")
    assert coast.live.get("code") is None


@needs_broker
def test_a_denied_device_asks_ever_more_rarely(coast: Coast) -> None:
    coast.start()
    coast.until(lambda: coast.device["online"], "the device")
    coast.console.rest.post("devices/pi-7/revoke")
    coast.until(lambda: coast.live.get("code") == "revoked", "its word for it")
    before = coast.log.read_text().count("[revoked]")
    time.sleep(4)
    assert coast.log.read_text().count("[revoked]") - before <= 3


@needs_broker
@pytest.mark.parametrize("coast", ["auto"], indirect=True)  # polls take their time to alternate
def test_a_copied_card_freezes_both_and_a_thaw_heals_the_board(coast: Coast) -> None:
    coast.start()
    coast.until(lambda: coast.device["online"], "the board")
    copied = Tree(coast.folder / "copy")
    shutil.copytree(coast.tree.root, copied.root, ignore=shutil.ignore_patterns("run", "*.lock"))
    copied.make()
    with ServeSimulator(copied):
        copy = coast.start(copied)
        coast.until(lambda: coast.device["frozen_ms"], "the freeze", limit_s=200)
        coast.until(lambda: coast.live.get("code") == "frozen", "its word for it")
        copy.kill()
    assert "two processes spoke as this device" in coast.device["frozen_why"]
    coast.console.rest.post("devices/pi-7/thaw")
    coast.until(lambda: coast.device["online"] and coast.live.get("up"), "the board is back")
    assert coast.device["frozen_ms"] is None
    coast.until(coast.complete, "all reports")


@needs_broker
def test_a_key_is_rotated_and_nothing_else_changes(coast: Coast) -> None:
    agent = coast.start()
    coast.until(lambda: coast.device["online"], "the device")
    key, first = (coast.tree.identity / "device.key").read_bytes(), coast.short
    coast.console.rest.post("devices/pi-7/rotate")
    coast.until(lambda: coast.short != first, "another certificate")
    coast.until(lambda: coast.device["rotate_ms"] is None, "the console heard it")
    assert (coast.tree.identity / "device.key").read_bytes() != key
    assert not list(coast.tree.identity.glob("next-*/*"))
    assert coast.device["incarnation"] == 1
    assert agent.process.poll() is None
    coast.console.push("digits:1")
    coast.until(lambda: coast.device["wanted"][0]["outcome"] == "healthy", "it still hears")
    coast.until(coast.complete, "all reports")
    second = coast.short
    coast.console.rest.post("devices/pi-7/rotate")
    coast.until(lambda: coast.short != second, "a third")
    coast.until(lambda: coast.device["rotate_ms"] is None, "the console heard that, too")


@needs_broker
def test_a_kill_at_any_moment_of_a_rotation_loses_nobody(coast: Coast) -> None:
    chance = random.Random(7)
    for _ in range(times(1, thorough=2)):
        first = coast.short
        agent = coast.start()
        coast.until(lambda: coast.device["online"], "the device")
        coast.console.rest.post("devices/pi-7/rotate")
        while coast.device["rotate_ms"] is not None:
            time.sleep(chance.uniform(0.2, 3.0))
            agent.kill()
            agent = coast.start()
            if chance.random() < 0.4:
                time.sleep(4)  # it must be let through some time
        coast.until(lambda before=first: coast.short != before, "another certificate")
        coast.until(lambda: coast.live.get("up"), "it speaks")
        agent.kill()
    coast.start()
    coast.until(coast.complete, "all reports")
    assert coast.device["frozen_ms"] is None
