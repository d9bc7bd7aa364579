"""The channel over a real broker, which dies, comes back and refuses strangers."""

import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from paho.mqtt.client import Client

from littoral_agent.identity import Identity
from littoral_agent.link import keepalive_after
from littoral_agent.mqtt import Mqtt
from simulators.broker import NOW, BrokerSimulator, mosquitto
from simulators.ends import AgentsSide
from simulators.repository import RepositorySimulator


@pytest.fixture
def repo(tmp_path: Path) -> RepositorySimulator:
    mosquitto()
    return RepositorySimulator(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, repo: RepositorySimulator) -> Iterator[BrokerSimulator]:
    with BrokerSimulator(tmp_path / "broker", repo) as broker:
        yield broker


@pytest.fixture
def channel(agent: AgentsSide, broker: BrokerSimulator) -> Iterator[Mqtt]:
    channel = Mqtt(agent.ends, broker.device("pi-7"), broker=broker.address)
    agent.spool.waiting = channel.wake
    channel.start()
    yield channel
    channel.stop()


def test_the_status_is_retained_and_says_hello_and_goodbye(
    channel: Mqtt, broker: BrokerSimulator
) -> None:
    broker.wait(lambda: broker.statuses)
    assert broker.statuses["pi-7"].online
    channel.stop()
    broker.wait(lambda: not broker.statuses["pi-7"].online)
    assert not channel.up


def test_a_status_that_changed_is_said_at_once_and_no_other(
    channel: Mqtt, broker: BrokerSimulator, agent: AgentsSide
) -> None:
    broker.wait(lambda: broker.statuses)
    agent.report(5)
    broker.wait(lambda: agent.waiting == 0)
    assert len([1 for _, path, _ in broker.said if path == "up/status"]) == 1
    agent.status = replace(agent.status, director=7)
    channel.wake()
    broker.wait(lambda: broker.statuses["pi-7"].director == 7)


def test_reports_leave_the_spool_on_the_consoles_word_alone(
    channel: Mqtt, broker: BrokerSimulator, agent: AgentsSide
) -> None:
    broker.deaf = True
    agent.report(3)
    broker.wait(lambda: len(broker.said) >= 4)
    assert (agent.waiting, channel.up) == (3, True)
    broker.deaf = False
    agent.report()
    broker.wait(lambda: len(broker.taken) == 1)
    assert agent.waiting == 4, "the fourth alone acknowledges nothing: the others are a gap"


def test_a_thousand_reports_arrive_in_order_and_are_listened_to(
    channel: Mqtt, broker: BrokerSimulator, agent: AgentsSide
) -> None:
    agent.report(300)
    broker.wait(lambda: agent.waiting == 0)
    assert [key.sequence for key in broker.taken] == list(range(1, 301))
    assert agent.listened > 0
    assert channel.up


def test_the_wish_is_heard_whenever_one_connects(
    agent: AgentsSide, broker: BrokerSimulator
) -> None:
    broker.desire("pi-7", b"document 1")
    channel = Mqtt(agent.ends, broker.device("pi-7"), broker=broker.address)
    channel.start()
    broker.wait(lambda: agent.documents == [b"document 1"])
    broker.desire("pi-7", b"document 2")
    broker.wait(lambda: agent.documents[-1] == b"document 2")
    broker.desire("pi-8", b"another's")
    broker.desire("pi-7", b"")
    broker.desire("pi-7", b"document 3")
    broker.wait(lambda: agent.documents[-1] == b"document 3")
    assert agent.documents == [b"document 1", b"document 2", b"document 3"]
    channel.stop()


def test_a_broker_that_is_killed_loses_and_doubles_nothing(
    channel: Mqtt, broker: BrokerSimulator, agent: AgentsSide
) -> None:
    agent.report(20)
    broker.wait(lambda: len(broker.taken) >= 20)
    for _ in range(3):
        broker.deaf = True  # the console hears, and dies before it commits
        agent.report(20)
        broker.wait(lambda: agent.waiting >= 20)
        broker.kill()
        broker.wait(lambda: not channel.up)
        agent.report(20)
        broker.deaf = False
        broker.start()
        broker.wait(lambda: agent.waiting == 0)
    assert sorted(key.sequence for key in broker.taken) == list(range(1, 141))


def test_what_is_not_acknowledged_is_sent_again(
    agent: AgentsSide, broker: BrokerSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Mqtt(agent.ends, broker.device("pi-7"), broker=broker.address)
    monkeypatch.setattr(channel._outbox, "_first_resend_s", 0.3)
    broker.deaf = True
    agent.report(3)
    channel.start()
    broker.wait(lambda: len([1 for _, path, _ in broker.said if path == "up/report"]) >= 6)
    broker.deaf = False
    broker.wait(lambda: agent.waiting == 0)
    assert sorted(key.sequence for key in broker.taken) == [1, 2, 3]
    channel.stop()


def test_who_vanishes_without_a_word_is_said_to_be_gone(
    agent: AgentsSide, broker: BrokerSimulator
) -> None:
    class Rude(Mqtt):
        def _say_goodbye(self, client: Client) -> None:
            link = client.socket()
            assert link is not None
            link.close()

    channel = Rude(agent.ends, broker.device("pi-7"), broker=broker.address)
    channel.start()
    broker.wait(lambda: channel.up and broker.statuses)
    channel.stop()
    broker.wait(lambda: not broker.statuses["pi-7"].online)


def test_dates_of_certificates_are_not_the_connections_business(
    tmp_path: Path, repo: RepositorySimulator, agent: AgentsSide
) -> None:
    expired = NOW - timedelta(days=20 * 365)
    with BrokerSimulator(tmp_path / "old", repo, served_since=expired) as broker:
        channel = Mqtt(agent.ends, broker.device("pi-7"), broker=broker.address)
        channel.start()
        broker.wait(lambda: channel.up)
        channel.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho's socket
def test_a_broker_of_another_ca_is_not_spoken_to(
    tmp_path: Path, repo: RepositorySimulator, agent: AgentsSide, broker: BrokerSimulator
) -> None:
    other = BrokerSimulator(tmp_path / "other", repo)
    identity = broker.device("pi-7")
    shutil.copy(other.tls.ca, identity.console_ca)
    channel = Mqtt(agent.ends, identity, broker=broker.address)
    with pytest.raises(Exception, match=r"does not answer .*is it the console's broker"):
        channel._converse()
    channel.stop()


def test_a_broker_that_speaks_no_mqtt_is_left_and_tried_again(
    agent: AgentsSide, broker: BrokerSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    """What paho does not understand may end a connection, and never the thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(broker.tls.certificate, broker.tls.key)
    identity = broker.device("pi-7")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        channel = Mqtt(agent.ends, identity, broker=f"127.0.0.1:{listener.getsockname()[1]}")
        channel.start()
        for _ in range(2):
            with context.wrap_socket(listener.accept()[0], server_side=True) as opened:
                opened.recv(4096)
                opened.sendall(b"\x20\x03\0\0\0" + b"\x30\x06\0\x02\xff\xfe\0x")
                opened.recv(4096)
                while opened.recv(4096):
                    pass
        channel.stop()
    assert "what is no MQTT" in caplog.text


def test_a_device_of_another_fleet_is_refused_and_says_so(
    tmp_path: Path, agent: AgentsSide, broker: BrokerSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = BrokerSimulator(tmp_path / "x", RepositorySimulator(tmp_path / "stranger"))
    identity = stranger.device("pi-7")
    shutil.copy(broker.tls.ca, identity.console_ca)
    channel = Mqtt(agent.ends, identity, broker=broker.address)
    channel.start()
    broker.wait(lambda: "unreachable" in caplog.text)
    assert not channel.up
    channel.stop()


def test_an_identity_that_cannot_be_read_ends_nothing(
    tmp_path: Path, agent: AgentsSide, broker: BrokerSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Mqtt(agent.ends, Identity(tmp_path / "nowhere"), broker=broker.address)
    channel.start()
    broker.wait(lambda: "run 'littoral enroll' again" in caplog.text)
    channel.stop()


def test_a_network_that_forgets_connections_is_reminded_of_them_more_often() -> None:
    keepalive_s, used = 1000.0, []
    for _ in range(4):
        keepalive_s = keepalive_after(900, keepalive_s)
        used.append(keepalive_s)
    assert used == [500, 250, 240, 240]
    assert keepalive_after(7200, 1000) == 1000, "it ended, and not because it was idle"
    assert keepalive_after(10, 60) == 60, "who sets less has a reason"
