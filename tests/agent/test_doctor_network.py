"""A console and a broker that answer, are away, or are somebody else: over real TLS."""

import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from littoral import records
from littoral.trust import certificates
from littoral_agent import identity
from littoral_agent.doctor import network
from littoral_agent.doctor.finding import Place
from littoral_agent.doctor.identity import ENROL
from simulators.broker import ConsoleCa
from simulators.fleet import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path) as fleet:
        fleet.enrol()
        yield fleet


def test_who_is_not_enrolled_has_nothing_to_reach(tmp_path: Path) -> None:
    with Fleet(tmp_path, broker=False) as fleet:
        place = Place(fleet.tree)
        assert network.console(place).state == network.broker(place).state == "skip"
        fleet.enrol()
        assert network.broker(place).found.startswith("none")


def test_both_answer(fleet: Fleet) -> None:
    found = network.console(Place(fleet.tree))
    assert found.state == "ok"
    assert "its time is signed, and the clock here" in found.found
    found = network.broker(Place(fleet.tree))
    assert (found.state, "takes the certificate" in found.found) == ("ok", True)


def test_the_agents_own_session_is_left_alone(fleet: Fleet) -> None:
    assert fleet.broker is not None
    with fleet.agent():
        fleet.wait(lambda: "pi-7" in fleet.broker.statuses)  # type: ignore[union-attr]
        before = len(fleet.broker.said)
        assert network.broker(Place(fleet.tree)).state == "ok"
        paths = [path for _, path, body in fleet.broker.said[before:] if b'"online":false' in body]
    assert paths == [], "no last will was sent for it"


def test_a_console_whose_clock_is_another(fleet: Fleet) -> None:
    fleet.console.clock = lambda: datetime.now(UTC) + timedelta(days=3)
    found = network.console(Place(fleet.tree))
    assert found.state == "warn"
    assert "this machine's clock is 3.0 days behind the console's" in found.wrong


def test_time_that_another_key_signed(fleet: Fleet, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with Fleet(other, broker=False) as another:
        another.enrol()
        shutil.copy(another.tree.metadata / "root.json", fleet.tree.metadata / "root.json")
    found = network.console(Place(fleet.tree))
    assert found.state == "fail"
    assert "signed by a key that root does not name" in found.wrong


def test_nobody_answers(fleet: Fleet) -> None:
    assert fleet.broker is not None
    fleet.console.stop()
    fleet.broker.kill()
    for look in (network.console, network.broker):
        found = look(Place(fleet.tree))
        assert found.state == "fail"
        assert "connection refused" in found.wrong
        assert "nc -vz 127.0.0.1" in found.do
    fleet.broker.start()
    fleet.console.start()


def test_a_console_that_is_not_needed(fleet: Fleet) -> None:
    """Where only the broker can be reached, nobody shall go and look for the console's port."""
    fleet.tree.settings.write_text('sources = ["mqtt"]\n')
    fleet.console.stop()
    found = network.console(Place(fleet.tree))
    assert found.state == "warn"
    assert "needs the broker alone" in found.wrong
    fleet.console.start()
    fleet.tree.settings.unlink()


def test_a_name_that_nobody_knows(fleet: Fleet) -> None:
    who = identity.of(fleet.tree)
    held = who.read()
    assert held is not None
    plain = {**records.plain(held), "url": "https://console.invalid:8443"}
    who.enrolment.write_bytes(records.to_json(plain))
    found = network.console(Place(fleet.tree))
    assert found.state == "fail"
    assert "nobody knows the name console.invalid" in found.wrong


def test_somebody_else_answers(fleet: Fleet, tmp_path: Path) -> None:
    shutil.copy(ConsoleCa(tmp_path / "stranger").ca, identity.of(fleet.tree).console_ca)
    for look in (network.console, network.broker):
        found = look(Place(fleet.tree))
        assert found.state == "fail"
        assert "who answers is not the console that this device knows" in found.wrong
        assert found.do == ENROL


def test_a_broker_that_refuses_the_certificate(fleet: Fleet, tmp_path: Path) -> None:
    """As one of another fleet's device CA, or of a console that was set up anew."""
    who = identity.of(fleet.tree)
    now = datetime.now(UTC)
    ca = certificates.new_ca(tmp_path / "ca.pem", tmp_path / "ca.crt", name="another", now=now)
    certificates.issue_client("console.x", ca=ca, key=who.key, certificate=who.certificate, now=now)
    found = network.broker(Place(fleet.tree))
    assert found.state == "fail"
    assert "it refuses this device's certificate" in found.wrong


def test_what_answers_and_speaks_no_tls(fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(4096)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        who = identity.of(fleet.tree)
        held = who.read()
        assert held is not None
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        who.enrolment.write_bytes(records.to_json({**records.plain(held), "broker": where}))
        found = network.broker(Place(fleet.tree))
    assert found.state == "fail"
    assert "does not speak TLS as a console does" in found.wrong
    assert found.do.startswith(f"openssl s_client -connect {where} ")
