"""The channel without a broker, over real TLS: sessions, long polls, and consoles that die."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from littoral.errors import DeniedError
from littoral_agent import https
from littoral_agent.https import Https
from littoral_agent.identity import Identity
from littoral_agent.origin import Origin
from simulators.broker import BrokerSimulator, enrol
from simulators.ends import AgentsSide
from simulators.listener import ListenerSimulator
from simulators.repository import RepositorySimulator

wait = BrokerSimulator.wait


@pytest.fixture
def repo(tmp_path: Path) -> RepositorySimulator:
    return RepositorySimulator(tmp_path)


@pytest.fixture
def console(tmp_path: Path, repo: RepositorySimulator) -> Iterator[ListenerSimulator]:
    with ListenerSimulator(tmp_path / "console", repo) as console:
        yield console


@pytest.fixture
def identity(tmp_path: Path, console: ListenerSimulator) -> Identity:
    return enrol(console.repo, tmp_path / "pi-7", device="pi-7", ca=console.tls.ca)


@pytest.fixture
def channel(agent: AgentsSide, console: ListenerSimulator, identity: Identity) -> Iterator[Https]:
    origin = Origin(console.url, ca=identity.console_ca)
    channel = Https(agent.ends, identity, origin=origin)
    agent.spool.waiting = channel.wake
    channel.start()
    yield channel
    channel._stopped.set()
    console.stop()
    channel.stop()
    for thread in channel._threads:
        thread.join(5)
    origin.close()


def test_what_is_said_arrives_and_leaves_the_spool(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    agent.report(150)
    wait(lambda: agent.waiting == 0)
    assert sorted(key.sequence for key in console.taken) == list(range(1, 151))
    assert console.statuses["pi-7"].software == "test"
    assert channel.up
    assert agent.listened > 0
    posts = console.asked.count("/device/messages")
    assert posts < 20, "many messages go in one request"
    assert console.asked.count("/device/session") == 1


def test_a_board_in_1970_is_not_warned_of_its_certificates(
    console: ListenerSimulator, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log said that TLS would fail, and dates are not what TLS is checked by here."""
    monkeypatch.setattr("urllib3.connection.RECENT_DATE", date.max)
    origin = Origin(console.url, ca=identity.console_ca)
    assert origin.get("enroll/ca", limit=9999).status == 200
    origin.close()


def test_a_changed_status_is_said_at_once(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    wait(lambda: console.statuses)
    agent.status = replace(agent.status, director=9)
    channel.wake()
    wait(lambda: console.statuses["pi-7"].director == 9)


def test_a_wish_is_heard_while_one_waits_for_it(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    wait(lambda: "/device/desired" in console.asked)
    wait(lambda: channel.up)
    document = console.repo.director(device="pi-7", version=5)
    console.desire("pi-7", document)
    wait(lambda: agent.documents == [document])
    agent.version = 5
    newer = console.repo.director(device="pi-7", version=6)
    console.desire("pi-7", newer)
    wait(lambda: agent.documents == [document, newer])


def test_a_console_that_dies_loses_and_doubles_nothing(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    agent.report(10)
    wait(lambda: agent.waiting == 0)
    for _ in range(2):
        console.stop()
        agent.report(10)
        wait(lambda: not channel.up)
        console.start()
        wait(lambda: agent.waiting == 0)
    assert sorted(key.sequence for key in console.taken) == list(range(1, 31))
    assert channel.up


def test_a_busy_console_is_asked_again(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    wait(lambda: channel.up)
    console.deaf = True
    agent.report(3)
    wait(lambda: not channel.up)
    assert agent.waiting == 3
    console.deaf = False
    wait(lambda: agent.waiting == 0)


def test_a_console_that_forgot_its_sessions_gives_new_ones(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    wait(lambda: channel.up)
    console.forget_sessions()
    agent.report()
    wait(lambda: agent.waiting == 0)
    assert channel.denial is None
    assert console.asked.count("/device/session") >= 2


def test_bearers_are_renewed_before_they_end(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    wait(lambda: channel.up)
    console.bearer_s = 1.0
    console.forget_sessions()
    for _ in range(3):
        agent.report()
        wait(lambda: agent.waiting == 0)
        threading.Event().wait(0.8)
    assert console.asked.count("/device/session") >= 3


def test_a_stranger_gets_no_session(
    tmp_path: Path, agent: AgentsSide, console: ListenerSimulator
) -> None:
    stranger = RepositorySimulator(tmp_path / "stranger")
    identity = enrol(stranger, tmp_path / "x", device="pi-7", ca=console.tls.ca)
    origin = Origin(console.url, ca=identity.console_ca)
    with pytest.raises(DeniedError, match="does not lead to the device CA"):
        Https(agent.ends, identity, origin=origin)._send()
    origin.close()


def test_nothing_that_signs_is_loaded_into_the_agent(tmp_path: Path) -> None:
    assert not hasattr(https, "sign_session")
    with pytest.raises(Exception, match=r"device\.key: cannot sign with it: .*no such key"):
        https._prove(Identity(tmp_path).key, "nonce")


def test_a_document_that_nobody_can_take_is_told_of(
    channel: Https, console: ListenerSimulator, agent: AgentsSide
) -> None:
    """It never reached whoever judges documents: the reason would be in the log alone."""
    console.desire("pi-7", b'{"signed": {"version": 1}, "more": "' + b"x" * 2**20 + b'"}')
    wait(lambda: agent.unheard)
    assert (agent.unheard[0].code, agent.documents) == ("endless", [])
    agent.report()
    wait(lambda: agent.waiting == 0)
    assert channel.denial is None
