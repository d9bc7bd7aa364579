"""A newer key for a device that is one already: asked for, certified, and the earlier one ended."""

import json
import ssl
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from littoral import records
from littoral.trust.identity import check_device, digest, load_pem
from littoral.trust.keys import new_device_key, sign_session
from littoral.wire.enrolment import SessionRequest
from littoral.wire.identity import RENEW_HEADER, Renew, Renewed, RenewRequest, short
from littoral.wire.messages import topic
from littoral_console.renewal import MOST_A_DAY
from simulators.console import ConsoleProcess, DeviceSimulator, MqttClient, needs_broker, until


class Pair:
    """A newer key of a device, and the certificate of it."""

    def __init__(self, device: DeviceSimulator, name: str = "next") -> None:
        self.device, self.folder = device, device.folder / name
        self.csr = new_device_key(self.folder, device.name)
        self.certificate = ""
        self.replaces = _short(device.enrolled.certificate)

    @property
    def short(self) -> str:
        return _short(self.certificate)

    def request(self, **more: Any) -> RenewRequest:
        fields = {
            "device": self.device.name,
            "incarnation": self.device.enrolled.incarnation,
            "certificate": self.replaces,
            "csr": self.csr,
        }
        return RenewRequest(**{**fields, **more})

    def ask(self, **more: Any) -> tuple[int, dict[str, Any]]:
        """Ask over HTTPS for its certificate, by the earlier one's bearer."""
        body = self.request(**more).to_json()
        status, found = self.device.ask(
            "POST", "/device/renew", body=body, bearer=self.device.bearer
        )
        if status == 200:
            self.certificate = Renewed.from_json(found).certificate
        return status, json.loads(found)

    def session(self) -> tuple[int, dict[str, Any]]:
        return session(self.device, self.folder / "device.key", self.certificate)

    def mqtt(self) -> MqttClient:
        path = self.folder / "device.crt"
        path.write_text(self.certificate)
        return MqttClient(
            self.device.console,
            certificate=path,
            key=self.folder / "device.key",
            client_id=self.device.name,
        )


def _short(chain: str) -> str:
    return short(digest(load_pem(chain, "certificate")[0]))


def session(device: DeviceSimulator, key: Path, certificate: str) -> tuple[int, dict[str, Any]]:
    nonce = json.loads(device.ask("GET", "/device/nonce")[1])["nonce"]
    request = SessionRequest(
        nonce=nonce, certificate=certificate, signature=sign_session(key, nonce)
    )
    status, body = device.ask("POST", "/device/session", body=records.to_json(request))
    return status, json.loads(body)


def post(device: DeviceSimulator, bearer: str) -> int:
    status, _ = device.ask(
        "POST",
        "/device/messages",
        body=b'{"status": ' + device.status().to_json() + b"}",
        bearer=bearer,
    )
    return status


def earlier(device: DeviceSimulator) -> tuple[int, dict[str, Any]]:
    return session(device, device.folder / "device.key", device.enrolled.certificate)


def test_a_newer_key_takes_the_place_of_the_earlier_once_it_was_heard(
    console: ConsoleProcess,
) -> None:
    device = DeviceSimulator(console, "renewed")
    pair = Pair(device)
    assert pair.ask()[0] == 200
    who = check_device(
        pair.certificate,
        root=load_pem(device.enrolled.device_ca, "CA")[0],
        now=load_pem(pair.certificate, "")[0].not_valid_before_utc,
    )
    assert (who.device, who.fleet, who.incarnation) == ("renewed", "shore", 1)
    assert earlier(device)[0] == 200, "the newer one was not heard yet"
    _, opened = pair.session()
    assert earlier(device)[0] == 200
    assert post(device, opened["bearer"]) == 200
    status, said = earlier(device)
    assert (status, said["code"]) == (403, "superseded")
    status, said = pair.ask()  # by the earlier one's bearer, which was opened before
    assert (status, said["code"]) == (403, "superseded")
    assert post(device, opened["bearer"]) == 200


def test_a_lost_answer_is_given_again(console: ConsoleProcess) -> None:
    pair = Pair(DeviceSimulator(console, "forgetful"))
    first, again = pair.ask()[1], pair.ask()[1]
    assert first == again
    other = Pair(pair.device, "other")
    other.ask()
    assert other.certificate != pair.certificate
    status, said = pair.session()
    assert (status, said["code"]) == (403, "superseded"), "another key was asked for since"
    assert earlier(pair.device)[0] == 200


def test_who_asks_asks_for_itself_and_for_a_newer_key(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "honest")
    pair = Pair(device)
    assert pair.ask(device="victim")[0] == 403
    assert pair.ask(incarnation=2)[0] == 403
    assert pair.ask(csr="no request")[0] == 422
    same = new_device_key(device.folder, device.name)
    assert pair.ask(certificate="0" * 16)[0] == 403
    status, said = pair.ask(csr=same)
    assert (status, said["error"]) == (
        403,
        "honest had that key before; a newer one is asked for",
    )
    assert device.ask("POST", "/device/renew", body=pair.request().to_json())[0] == 401


def test_nobody_has_keys_without_end_certified(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "greedy")
    for n in range(MOST_A_DAY):
        assert Pair(device, f"{n}").ask()[0] == 200
    status, said = Pair(device, "more").ask()
    assert (status, said["code"]) == (403, "denied")
    assert "within a day" in said["error"]


def test_a_revoked_device_renews_nothing(console: ConsoleProcess) -> None:
    pair = Pair(DeviceSimulator(console, "late"))
    assert pair.device.bearer
    console.rest.post("devices/late/revoke")
    assert pair.ask()[1]["code"] == "revoked"


def test_a_poll_that_waits_hears_that_a_newer_key_is_wanted(console: ConsoleProcess) -> None:
    import threading

    device = DeviceSimulator(console, "asked")
    present = short(
        sha256(ssl.PEM_cert_to_DER_cert(_leaf(device.enrolled.certificate))).hexdigest()
    )
    assert device.bearer
    threading.Timer(0.5, console.rest.post, ("devices/asked/rotate",)).start()
    assert _poll(device, wait_s=15) == present
    assert console.device("asked")["device"]["rotate_ms"] is not None
    pair = Pair(device)
    pair.ask()
    _, opened = pair.session()
    assert post(device, opened["bearer"]) == 200
    assert console.device("asked")["device"]["rotate_ms"] is None
    del device.__dict__["bearer"]
    device.__dict__["bearer"] = opened["bearer"]
    assert _poll(device, wait_s=0) is None


def _leaf(chain: str) -> str:
    end = "-----END CERTIFICATE-----\n"
    return chain.partition(end)[0] + end


def _poll(device: DeviceSimulator, *, wait_s: float) -> str | None:
    """Return which certificate the console wants replaced."""
    import urllib3

    with urllib3.PoolManager(ca_certs=str(device.console.data / "tls" / "console-ca.crt")) as pool:
        reply = pool.request(
            "GET",
            f"{device.console.ready['devices']}/device/desired?wait_s={wait_s}",
            headers={"Authorization": f"Bearer {device.bearer}"},
        )
        assert reply.status in {200, 204}
        return reply.headers.get(RENEW_HEADER)


@needs_broker
def test_all_of_it_goes_over_the_broker_alone(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "wired")
    present = short(digest(load_pem(device.enrolled.certificate, "")[0]))
    pair = Pair(device)
    with device.mqtt() as client:
        client.subscribe(topic("wired", "down/#"))
        client.say(device.status(instance="a", certificate=present))
        until(lambda: console.device("wired")["device"]["online"], "the status")
        console.rest.post("devices/wired/rotate")
        name, body = client.next()
        assert (name, Renew.from_json(body)) == (
            topic("wired", "down/renew"),
            Renew(certificate=present),
        )
        client.publish(topic("wired", "up/renew"), pair.request(device="victim").to_json())
        client.publish(topic("wired", "up/renew"), b"no request")
        client.publish(topic("wired", "up/renew"), pair.request().to_json())
        name, body = client.next()
        assert name == topic("wired", "down/renewed")
        pair.certificate = Renewed.from_json(body).certificate
        # Until it is heard by the newer one, it is asked again whenever it speaks.
        client.say(device.status(instance="b", certificate=present))
        assert client.next()[0] == topic("wired", "down/renew")
    with pair.mqtt() as client:
        client.say(device.status(instance="b", certificate=pair.short))
        until(lambda: console.device("wired")["device"]["rotate_ms"] is None, "heard")
    until(lambda: _shut_out(device), "the end of the earlier one", limit_s=1)
    with pair.mqtt() as client:
        assert client.publish(topic("wired", "up/status"), b"") != "Not authorized"


def _shut_out(device: DeviceSimulator) -> bool:
    try:
        with device.mqtt():
            return False
    except (ssl.SSLError, ConnectionError):
        return True


@needs_broker
def test_enrolling_anew_ends_every_certificate_of_before(console: ConsoleProcess) -> None:
    device = DeviceSimulator(console, "elder")
    pair, pending = Pair(device), Pair(device, "pending")
    pair.ask()
    assert post(device, pair.session()[1]["bearer"]) == 200
    del device.__dict__["bearer"]
    _, opened = pair.session()
    device.__dict__["bearer"] = opened["bearer"]
    pending.replaces = pair.short
    assert pending.ask()[0] == 200
    DeviceSimulator(console, "elder")
    for one in (pair, pending):
        assert one.session()[1]["code"] == "superseded"
        with pytest.raises((ssl.SSLError, ConnectionError)), one.mqtt():
            pass


def test_all_that_a_selector_means_are_asked(console: ConsoleProcess) -> None:
    for name in ("sel-1", "sel-2", "sel-3"):
        DeviceSimulator(console, name, token=console.token(labels={"room": "boiler"}))
    console.rest.post("devices/sel-3/revoke")
    found = console.rest.post("rotations", {"to": "room=boiler"})
    assert found == {"devices": ["sel-1", "sel-2"]}
    assert console.device("sel-1")["device"]["rotate_ms"] is not None
    assert console.device("sel-3")["device"]["rotate_ms"] is None
    with pytest.raises(Exception, match="no device is meant"):
        console.rest.post("rotations", {"to": "room=attic"})
    with pytest.raises(Exception, match="is revoked"):
        console.rest.post("devices/sel-3/rotate")
