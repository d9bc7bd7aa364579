"""Who may say what on the broker: each device itself, the console by its name, nobody else."""

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from littoral import records
from littoral.trust import certificates
from littoral.trust.keys import DEVICE_KEY
from littoral.wire.enrolment import EnrollRequest, Token
from littoral.wire.messages import topic
from littoral_console.broker import access_list, program
from simulators.console import ConsoleProcess, DeviceSimulator, MqttClient, needs_broker, until
from simulators.repository import RepositorySimulator

pytestmark = needs_broker
DENIED = "Not authorized"


def test_a_device_writes_its_own_topics_and_no_others(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "writer-a")
    DeviceSimulator(console, "writer-b")
    with device.mqtt() as client:
        assert client.publish(topic("writer-a", "up/report"), b"x") != DENIED
        for name in (
            topic("writer-b", "up/report"),
            topic("writer-a", "down/desired"),
            topic("writer-a", "up/other"),
            topic("writer-a", "up/report/more"),
            topic("writer-b", "down/desired"),
            "littoral/devices/console.a/down/x",
            "littoral/devices",
            "anything",
            "$SYS/broker/uptime",
        ):
            assert client.publish(name, b"x", retain=True) == DENIED, name


def test_a_device_hears_its_own_topics_and_no_others(console: ConsoleProcess) -> None:
    reader, victim = DeviceSimulator(console, "reader-a"), DeviceSimulator(console, "reader-b")
    with reader.mqtt() as client, victim.mqtt() as other:
        for name in (
            topic("reader-b", "down/#"),
            topic("reader-b", "up/#"),
            "littoral/devices/+/down/#",
            "littoral/#",
            "#",
            "$SYS/#",
        ):
            client.subscribe(name)
        other.say(victim.status())
        other.say(victim.report("fetched"))
        console.push("digits:1", to="reader-b")
        assert client.nothing(within_s=1.0)


def test_a_device_cannot_take_anothers_session(console: ConsoleProcess) -> None:
    thief, victim = DeviceSimulator(console, "taker"), DeviceSimulator(console, "taken")
    with victim.mqtt(clean=False) as client:
        client.subscribe(topic("taken", "down/#"))
        with thief.mqtt(client_id="taken", clean=True) as stolen:
            stolen.subscribe(topic("taken", "down/#"))
            console.push("digits:1", to="taken")
            assert client.next()[0] == topic("taken", "down/desired")
            assert client.connected
            assert stolen.nothing()


def test_a_device_cannot_be_the_console(console: ConsoleProcess) -> None:
    thief, victim = DeviceSimulator(console, "usurper"), DeviceSimulator(console, "subject")
    with thief.mqtt(client_id="console.a") as client:
        client.subscribe("littoral/devices/+/up/#")
        with victim.mqtt() as other:
            other.subscribe(topic("subject", "down/ack"))
            other.say(victim.report("fetched"))
            other.acked(victim.stream, 1)  # the true console still hears
        assert client.nothing()
        assert client.publish(topic("subject", "down/desired"), b"x") == DENIED


def test_no_device_can_be_named_like_a_console_or_a_pattern(console: ConsoleProcess) -> None:
    honest = DeviceSimulator(console, "namer")
    for name in ("console.a", "+", "#", "a/up", "", "A", "x" * 65):
        request = EnrollRequest(
            secret=Token.decode(console.token()).secret,
            device=name,
            serial=f"board {name}",
            csr=_csr(honest),
            hardware=(),
            software="",
        )
        status, body = honest.ask("POST", "/enroll", body=records.to_json(request))
        assert status == 403, body


def test_who_has_no_certificate_of_ours_is_not_let_in(
    console: ConsoleProcess, tmp_path: Path
) -> None:
    from datetime import UTC, datetime

    device = DeviceSimulator(console, "stranger")
    now = datetime.now(UTC)
    ca = certificates.new_ca(tmp_path / "ca.key", tmp_path / "ca.crt", name="another", now=now)
    csr = _csr(device)
    foreign = certificates.issue_device(
        csr, fleet="shore", device="stranger", incarnation=1, ca=ca, now=now
    )
    (tmp_path / "foreign.crt").write_text(foreign)
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        MqttClient(
            console,
            certificate=tmp_path / "foreign.crt",
            key=device.folder / DEVICE_KEY,
            client_id="stranger",
        ),
    ):
        pass


def _csr(device: DeviceSimulator) -> str:
    from littoral.trust.keys import new_device_key

    return new_device_key(device.folder, device.name)


def test_the_consoles_server_certificate_is_no_clients(console: ConsoleProcess) -> None:
    tls = console.data / "tls"
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        MqttClient(
            console,
            certificate=tls / "server.crt",
            key=tls / "server.key",
            client_id="localhost",
        ),
    ):
        pass


def test_a_revoked_devices_live_connection_ends(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "ousted")
    with device.mqtt() as client:
        client.subscribe(topic("ousted", "down/#"))
        assert client.publish(topic("ousted", "up/report"), b"x") != DENIED
        console.rest.post("devices/ousted/revoke")
        until(lambda: not client.connected, "its end")
    shutil.rmtree(device.folder)
    back = DeviceSimulator(console, "ousted", token=console.token(device="ousted"))
    with back.mqtt() as client:
        assert client.publish(topic("ousted", "up/report"), b"x") != DENIED


def test_an_earlier_incarnations_certificate_opens_no_connection(console: ConsoleProcess) -> None:
    stolen = DeviceSimulator(console, "cloned")
    with stolen.mqtt() as client:
        assert client.publish(topic("cloned", "up/report"), b"x") != DENIED
        kept = stolen.folder / "kept.crt"
        kept.write_text(stolen.enrolled.certificate)
        true = DeviceSimulator(console, "cloned")
        with true.mqtt() as other:
            until(lambda: not client.connected, "the thief's end")
            assert other.publish(topic("cloned", "up/report"), b"x") != DENIED
    stolen.certificate = kept
    with pytest.raises((ssl.SSLError, ConnectionError)), stolen.mqtt():
        pass


def test_files_of_the_broker_are_the_consoles_alone(console: ConsoleProcess) -> None:
    for path in ("broker/mosquitto.conf", "broker/acl", "tls/server.key", "tls/console.a.key"):
        assert (console.data / path).stat().st_mode & 0o077 == 0, path
    assert "user localhost" not in access_list(())


def test_systemd_hears_the_console_alone(
    fresh: ConsoleProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.kill()
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    fresh.start()
    told = [Path(f"/proc/{pid}/environ").read_bytes() for pid in (fresh.pid, fresh.broker_pid)]
    assert [b"NOTIFY_SOCKET=" in words for words in told] == [True, False]


def test_a_broker_that_dies_is_back_on_its_port(fresh: ConsoleProcess) -> None:
    before, port = fresh.broker_pid, fresh.ready["broker"]
    fresh.kill_broker()
    until(lambda: fresh.broker_pid != before, "another broker")
    assert fresh.ready["broker"] == port
    device = DeviceSimulator(fresh, "survivor")
    with device.mqtt() as client:
        client.subscribe(topic("survivor", "down/ack"))
        client.say(device.report("fetched"))
        client.acked(device.stream, 1)


def test_the_broker_dies_with_its_console_and_comes_back_where_devices_know_it(
    fresh: ConsoleProcess,
) -> None:
    pid, where = fresh.broker_pid, fresh.ready["broker"]
    fresh.kill()
    until(lambda: not Path(f"/proc/{pid}").exists() or _zombie(pid), "the end of the broker")
    fresh.start()
    assert fresh.ready["broker"] == where
    assert fresh.broker_pid != pid


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_nothing_runs_when_the_console_was_stopped(fresh: ConsoleProcess) -> None:
    pid = fresh.broker_pid
    assert fresh.stop() == 0
    assert not Path(f"/proc/{pid}").exists() or _zombie(pid)
    assert not (fresh.data / "console.json").exists()


@pytest.fixture
def external(tmp_path: Path) -> Iterator[ConsoleProcess]:
    """Run a console on somebody else's broker, which outlives it."""
    publisher = RepositorySimulator(tmp_path)
    publisher.publish(publisher.bundle("digits", 1))
    with ConsoleProcess(tmp_path, publisher) as first:
        first.upload()
        device = DeviceSimulator(first, "elsewhere")
    folder = tmp_path / "external"
    shutil.copytree(first.data / "broker", folder)
    text = (folder / "mosquitto.conf").read_text()
    text = text.replace(str(first.data / "broker"), str(folder))
    port = re.search(r"listener (\d+)", text)
    assert port is not None
    (folder / "mosquitto.conf").write_text(text)
    mosquitto = program()
    assert mosquitto is not None
    broker = subprocess.Popen(
        [mosquitto, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
    )
    url = f"mqtts://127.0.0.1:{port[1]}"
    second = ConsoleProcess(tmp_path, publisher, ("--broker", url), dict(first.ready))
    second._token = first._token
    with second:
        assert second.ready["broker"] == f"127.0.0.1:{port[1]}"
        device.console = second
        yield second
    broker.terminate()
    broker.wait(10)


def test_what_is_said_while_the_console_is_dead_is_heard_when_it_is_back(
    external: ConsoleProcess,
) -> None:
    device = DeviceSimulator(external, "elsewhere")
    with device.mqtt() as client:
        client.subscribe(topic("elsewhere", "down/#"))
        client.say(device.report("fetched"))
        client.acked(device.stream, 1)
        external.kill()
        client.say(device.report("passed"))
        external.start()
        client.acked(device.stream, 2)
        external.push("digits:1", to="elsewhere")
        until(lambda: client.next()[0] == topic("elsewhere", "down/desired"), "the document")
