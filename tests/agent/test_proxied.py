"""A device that reaches its console, its broker and its files through a proxy, and not without.

The console's name means something to the proxy alone.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from littoral.errors import UnreachableError
from littoral.tree import Tree
from littoral_agent import settings
from littoral_agent.enroll import enroll
from littoral_agent.state import live
from simulators import hosting
from simulators.console import ConsoleProcess, needs_broker, until
from simulators.fleet import SETTINGS, AgentProcess
from simulators.hosting import needs_tinyproxy
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

NAME = "console.test"


@pytest.fixture(params=["auto", "none"], ids=["broker", "https"])
def console(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ConsoleProcess]:
    with RepositorySimulator(tmp_path) as repo:
        repo.publish(repo.bundle("digits", 1))
        arguments = ("--broker", request.param, "--name", NAME)
        with ConsoleProcess(tmp_path, repo, arguments=arguments) as console:
            console.upload()
            yield console


@needs_broker
@needs_tinyproxy
@pytest.mark.slow
def test_all_that_a_device_does_goes_through_its_proxy(
    tmp_path: Path, console: ConsoleProcess
) -> None:
    tree, log = Tree(tmp_path / "device"), tmp_path / "agent.log"
    tree.make()
    secret = tmp_path / "secret"
    secret.write_text("open-sesame\n")
    secret.chmod(0o600)
    url = console.ready["devices"].replace("127.0.0.1", NAME)
    with (
        hosting.tinyproxy(tmp_path, user="pi", password="open-sesame") as port,
        ServeSimulator(tree) as serve,
    ):
        with pytest.raises(UnreachableError):
            enroll(url, console.token(), tree, name="pi-7")
        tree.settings.write_text(
            f'{SETTINGS}\nproxy = "http://pi@127.0.0.1:{port}"\nproxy_secret = "{secret}"\n'
        )
        way = settings.read(tree).through
        enroll(url, console.token(), tree, name="pi-7", proxy=way)
        agent = AgentProcess(tree, log)
        try:
            console.push("digits:1")
            until(lambda: serve.running == {"digits": 1}, "release 1 runs", limit_s=30)
            channel = until(lambda: _channel(tree), "that it is up, in its own words")
            assert channel == ("mqtt" if console.ready["broker"] else "https")
        finally:
            agent.stop()
    assert "sesame" not in log.read_text()
    assert "sesame" not in (tree.root / "agent.toml").read_text()


@needs_tinyproxy
def test_a_proxy_that_says_no_is_told_apart_from_the_console(
    tmp_path: Path, console: ConsoleProcess
) -> None:
    tree, log = Tree(tmp_path / "device"), tmp_path / "agent.log"
    tree.make()
    enroll(console.ready["devices"], console.token(), tree, name="pi-7")
    enrolment = tree.identity / "enrolment.json"
    enrolment.write_text(enrolment.read_text().replace("127.0.0.1", NAME))
    with hosting.tinyproxy(tmp_path, user="pi", password="open-sesame") as port:
        tree.settings.write_text(f'{SETTINGS}\nproxy = "http://pi@127.0.0.1:{port}"\n')
        agent = AgentProcess(tree, log)
        try:
            words = until(lambda: _silence(tree), "why it is silent")
            assert "[proxy]" in words
            assert "407" in words or "401" in words
        finally:
            agent.stop()


def _channel(tree: Tree) -> str | None:
    here = live(tree)
    return here.channel if here is not None and here.up else None


def _silence(tree: Tree) -> str:
    here = live(tree)
    return f"{here.words} [{here.code}]" if here is not None and here.code else ""
