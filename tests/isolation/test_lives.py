"""A stolen key on a live connection: it ends with the life it was stolen in.

The real console on its real broker. The thief has a device's key and certificate, and a
connection that stood before the console was told.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from littoral import records
from littoral.trust.identity import digest, load_pem
from littoral.trust.keys import DEVICE_KEY, new_device_key, sign_session
from littoral.wire.enrolment import SessionRequest
from littoral.wire.identity import Renewed, RenewRequest, short
from littoral.wire.messages import Post, topic
from simulators.console import ConsoleProcess, DeviceSimulator, MqttClient, needs_broker, until

pytestmark = needs_broker


@contextmanager
def thief(device: DeviceSimulator, *, again: bool = False) -> Iterator[MqttClient]:
    """Be connected as the device, by its stolen key, and hear what it hears."""
    if not again:
        (device.folder / "stolen.crt").write_text(device.enrolled.certificate)
        (device.folder / "stolen.key").write_bytes((device.folder / DEVICE_KEY).read_bytes())
    with MqttClient(
        device.console,
        certificate=device.folder / "stolen.crt",
        key=device.folder / "stolen.key",
        client_id=device.name,
    ) as client:
        client.subscribe(topic(device.name, "down/#"))
        yield client


def anew(console: ConsoleProcess, name: str) -> DeviceSimulator:
    """Enrol the board again, with another key."""
    (console.base / "devices" / name / DEVICE_KEY).unlink()
    return DeviceSimulator(console, name, token=console.token(device=name))


def test_a_board_that_is_enrolled_anew(console: ConsoleProcess) -> None:
    """The thief's connection ends at once, though the board itself never connects to the broker."""
    with thief(DeviceSimulator(console, "anew-1")) as client:
        back = anew(console, "anew-1")
        until(lambda: not client.connected, "the end of the connection", limit_s=1)
        back.post(status=back.status())
        console.push("digits:1", to="anew-1")
        assert back.desired(wait_s=10) is not None
        assert client.nothing(within_s=1.5), "it does not come back either"
        assert not client.connected


def test_a_denial_that_is_lifted(console: ConsoleProcess) -> None:
    """A thief who stayed connected while the device was revoked is believed no more after that."""
    with thief(DeviceSimulator(console, "lifted")) as client:
        console.rest.post("devices/lifted/revoke")
        assert client.next()[0] == topic("lifted", "down/denied")
        back = anew(console, "lifted")
        until(lambda: not client.connected, "the end of the connection", limit_s=1)
        console.push("digits:1", to="lifted")
        assert back.desired(wait_s=10) is not None
        assert client.nothing(within_s=1.5)
        assert not client.connected


def test_a_key_of_before_that_asks_for_a_newer_one(console: ConsoleProcess) -> None:
    """Who was superseded gets no key certified, whatever incarnation he says he is."""
    stolen = DeviceSimulator(console, "climber")
    with thief(stolen) as client:
        assert anew(console, "climber").enrolled.incarnation == 2
        ask(client, stolen, incarnation=2)
        assert client.nothing(within_s=1.5)
    with pytest.raises((ssl.SSLError, ConnectionError)), thief(stolen, again=True):
        pass


def test_a_newer_key(console: ConsoleProcess) -> None:
    """The connection by the one before ends, also where the board is heard over HTTPS alone."""
    device = DeviceSimulator(console, "turner")
    with thief(device) as client:
        body = request(device, "newer", incarnation=1).to_json()
        code, found = device.ask("POST", "/device/renew", body=body, bearer=device.bearer)
        assert code == 200
        newer = Renewed.from_json(found).certificate
        bearer = session(device, device.folder / "newer" / DEVICE_KEY, newer)
        named = short(digest(load_pem(newer, "newer")[0]))
        post = Post(status=device.status(certificate=named)).to_json()
        assert device.ask("POST", "/device/messages", body=post, bearer=bearer)[0] == 200
        until(lambda: not client.connected, "the end of the connection", limit_s=1)
        assert client.nothing(within_s=1.5), "it does not come back either"
        assert not client.connected


def request(device: DeviceSimulator, folder: str, *, incarnation: int) -> RenewRequest:
    csr = new_device_key(device.folder / folder, device.name)
    present = short(digest(load_pem(device.enrolled.certificate, "present")[0]))
    return RenewRequest(device=device.name, incarnation=incarnation, certificate=present, csr=csr)


def ask(client: MqttClient, device: DeviceSimulator, *, incarnation: int) -> None:
    body = request(device, "thiefs", incarnation=incarnation).to_json()
    client._client.publish(topic(device.name, "up/renew"), body, qos=1)


def session(device: DeviceSimulator, key: Path, certificate: str) -> str:
    """Return the bearer of whoever has ``key``."""
    nonce = json.loads(device.ask("GET", "/device/nonce")[1])["nonce"]
    asked = SessionRequest(nonce=nonce, certificate=certificate, signature=sign_session(key, nonce))
    status, body = device.ask("POST", "/device/session", body=records.to_json(asked))
    assert status == 200, body
    return str(json.loads(body)["bearer"])
