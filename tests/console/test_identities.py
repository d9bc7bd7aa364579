"""Whether a device is still one: revoked, frozen and thawed, as its live connections feel it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from littoral import records
from littoral.trust.keys import DEVICE_KEY, sign_session
from littoral.wire.enrolment import SessionRequest
from littoral.wire.identity import Denied
from littoral.wire.messages import topic
from patience import patient
from simulators.console import (
    ConsoleProcess,
    DeviceSimulator,
    EnrolmentRefusedError,
    MqttClient,
    needs_broker,
    until,
)

DENIED = "Not authorized"


def session(device: DeviceSimulator, instance: str) -> tuple[int, dict[str, Any]]:
    """Open a session as a process of the device."""
    nonce = json.loads(device.ask("GET", "/device/nonce")[1])["nonce"]
    request = SessionRequest(
        nonce=nonce,
        certificate=device.enrolled.certificate,
        signature=sign_session(device.folder / DEVICE_KEY, nonce),
        instance=instance,
    )
    status, body = device.ask("POST", "/device/session", body=records.to_json(request))
    return status, json.loads(body)


def poll(device: DeviceSimulator, bearer: str, *, wait_s: float = 0) -> tuple[int, str]:
    status, body = device.ask("GET", f"/device/desired?wait_s={wait_s}", bearer=bearer)
    return status, json.loads(body)["code"] if status >= 400 else ""


def denied(client: MqttClient, name: str) -> bool:
    """Whether nothing that it says is heard: its connection was ended."""
    if not client.connected:
        return True
    return client.publish(topic(name, "up/status"), b"") == DENIED or not client.connected


@pytest.fixture
def waiting() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as threads:
        yield threads


@needs_broker
def test_revoking_silences_a_live_connection_within_a_second(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "loud")
    with device.mqtt() as client:
        client.subscribe(topic("loud", "down/#"))
        assert not denied(client, "loud")
        began = time.monotonic()
        console.rest.post("devices/loud/revoke")
        until(lambda: denied(client, "loud"), "silence", limit_s=1)
        assert time.monotonic() - began < patient(1)
        name, body = client.next()
        assert name == topic("loud", "down/denied")
        said = Denied.from_json(body)
        assert (said.incarnation, said.code) == (1, "revoked")
        assert "littoral enroll" in said.error
        DeviceSimulator(console, "calm")
        console.push("digits:1", to="all", force=True)
        assert client.nothing(within_s=1.0), "it hears nothing any more"


def test_revoking_ends_a_long_poll_within_a_second(
    console: ConsoleProcess, waiting: ThreadPoolExecutor
) -> None:
    device = DeviceSimulator(console, "patient")
    _, opened = session(device, "a")
    found = waiting.submit(poll, device, opened["bearer"], wait_s=20)
    until(lambda: console.device("patient")["device"]["online"], "the poll")
    began = time.monotonic()
    console.rest.post("devices/patient/revoke")
    assert found.result(5) == (403, "revoked")
    assert time.monotonic() - began < patient(1)
    assert session(device, "a")[1]["code"] == "revoked"


def test_many_are_revoked_at_once_and_none_is_forgotten(
    fresh: ConsoleProcess, waiting: ThreadPoolExecutor
) -> None:
    names = [f"many-{n}" for n in range(12)]
    devices = [DeviceSimulator(fresh, name) for name in names]
    clients = [device.mqtt().__enter__() for device in devices]
    list(waiting.map(lambda name: fresh.rest.post(f"devices/{name}/revoke"), names))
    for client, name in zip(clients, names, strict=True):
        until(partial(denied, client, name), name, limit_s=2)
        client.__exit__()


@needs_broker
def test_who_missed_the_word_of_its_end_is_hung_up_on(console: ConsoleProcess) -> None:
    """One that came back between the word and the denial took its connection for a good one."""
    device = DeviceSimulator(console, "deaf")
    with device.mqtt() as client:  # subscribed to nothing, and with nothing to say
        console.rest.post("devices/deaf/revoke")
        until(lambda: not client.connected, "the end of its connection", limit_s=2)


@needs_broker
def test_a_copy_beside_the_board_freezes_both(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "twins")
    turns = ["board", "copy", "board", "copy", "board"]
    for n, instance in enumerate(turns):
        with device.mqtt() as client:
            client.subscribe(topic("twins", "down/#"))
            client.say(device.status(instance=instance))
            client.say(device.report("fetched"))
            if n < len(turns) - 1:
                client.acked(device.stream, n + 1)
                assert console.device("twins")["device"]["frozen_ms"] is None
            else:
                name, body = client.next()
                assert (name, Denied.from_json(body).code) == (
                    topic("twins", "down/denied"),
                    "frozen",
                )
                until(lambda: denied(client, "twins"), "silence", limit_s=1)
    found = console.device("twins")["device"]
    assert found["frozen_ms"] is not None
    assert "3 times one came back" in found["frozen_why"]
    assert found["online"] is False
    assert session(device, "board")[1]["code"] == "frozen"
    entries = console.rest.get("audit", limit=20)["entries"]
    frozen = next(e for e in entries if e["action"] == "device.freeze")
    assert (frozen["subject"], frozen["who"]) == ("twins", "console")


def test_a_copy_is_seen_over_https_alone_too(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "pair")
    bearers = {name: session(device, name)[1]["bearer"] for name in ("board", "copy")}
    for name in ("board", "copy", "board", "copy"):
        assert poll(device, bearers[name]) == (204, "")
    assert poll(device, bearers["board"]) == (403, "frozen")
    assert poll(device, bearers["copy"]) == (403, "frozen")


def test_a_board_in_a_restart_loop_is_never_frozen(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "restless")
    for n in range(12):
        status, opened = session(device, f"process {n}")
        assert status == 200
        assert poll(device, opened["bearer"]) == (204, "")
        assert poll(device, opened["bearer"]) == (204, "")
    assert console.device("restless")["device"]["frozen_ms"] is None


@needs_broker
def test_what_the_broker_kept_is_no_process_that_returns(fresh: ConsoleProcess) -> None:
    """The console hears retained statuses again whenever it connects."""
    device = DeviceSimulator(fresh, "kept")
    with device.mqtt() as client:
        client.subscribe(topic("kept", "down/ack"))
        client.say(device.status(instance="before"))
        client.say(device.report("fetched"))
        client.acked(device.stream, 1)
    for _ in range(4):
        _, opened = session(device, "after")
        assert poll(device, opened["bearer"]) == (204, "")
        fresh.stop()
        fresh.start()
        until(lambda: fresh.device("kept")["device"]["channel"] == "mqtt", "the retained status")
    assert fresh.device("kept")["device"]["frozen_ms"] is None


def _frozen(console: ConsoleProcess, name: str) -> DeviceSimulator:
    device = DeviceSimulator(console, name)
    bearers = {one: session(device, one)[1]["bearer"] for one in ("a", "b")}
    for one in ("a", "b", "a", "b", "a"):
        poll(device, bearers[one])
    assert console.device(name)["device"]["frozen_ms"] is not None
    return device


@needs_broker
def test_an_operator_thaws_a_device(console: ConsoleProcess) -> None:
    device = _frozen(console, "thawed")
    found = console.rest.post("devices/thawed/thaw")["device"]
    assert (found["frozen_ms"], found["frozen_why"]) == (None, None)
    status, opened = session(device, "a")
    assert status == 200
    assert poll(device, opened["bearer"]) == (204, "")
    with device.mqtt() as client:  # the broker, too
        assert not denied(client, "thawed")
    console.rest.post("devices/thawed/thaw")
    thaws = [
        e for e in console.rest.get("audit", limit=50)["entries"] if e["action"] == "device.thaw"
    ]
    assert [e["subject"] for e in thaws].count("thawed") == 1


def test_thawing_brings_no_revoked_device_back(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "ended")
    console.rest.post("devices/ended/revoke")
    with pytest.raises(Exception, match="is revoked"):
        console.rest.post("devices/ended/thaw")
    with pytest.raises(Exception, match="no device"):
        console.rest.post("devices/nobody-at-all/thaw")


@needs_broker
def test_enrolling_the_board_anew_ends_the_freeze_and_the_copy(console: ConsoleProcess) -> None:
    copy = _frozen(console, "anew")
    kept = copy.folder.with_name("copy")
    copy.folder.rename(kept)
    with pytest.raises(EnrolmentRefusedError, match="is frozen"):
        DeviceSimulator(console, "anew")
    board = DeviceSimulator(console, "anew", token=console.token(device="anew"))
    assert console.device("anew")["device"]["frozen_ms"] is None
    assert board.post(status=board.status()) == {}
    with board.mqtt() as client:
        assert not denied(client, "anew")
    copy.folder = kept
    assert session(copy, "copy")[1]["code"] == "superseded"


def test_orders_are_an_administrators(console: ConsoleProcess) -> None:
    from littoral_console.client import Console

    DeviceSimulator(console, "guarded")
    nobody = Console(console.ready["http"])
    for order in ("revoke", "thaw", "rotate"):
        with pytest.raises(Exception, match="log in"):
            nobody.post(f"devices/guarded/{order}")
