"""Twenty devices that have HTTPS alone: each is itself by its key, and nobody else by any word.

The real console, its real listener. Honest reports flow all the while; at the end every one of
them was stored once, for whom it is of, and nothing else was.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.serialization import Encoding

from isolation.grounds import DEVICES, Grounds, forge
from littoral import records
from littoral.trust.certificates import Authority
from littoral.trust.identity import digest, load_pem
from littoral.trust.keys import DEVICE_KEY, check_time, new_device_key, sign_session
from littoral.wire.enrolment import EnrollRequest, SessionRequest, SignedTime, Token
from littoral.wire.identity import Renewed, RenewRequest, short
from littoral.wire.messages import Acks, Post, Running
from simulators.console import ConsoleProcess, DeviceSimulator, EnrolmentRefusedError
from simulators.repository import RepositorySimulator

ASKS = (
    ("GET", "/device/desired?wait_s=0"),
    ("POST", "/device/messages"),
    ("POST", "/device/renew"),
)
EMPTY = Post().to_json()


class Device(DeviceSimulator):
    """One that keeps its connection."""

    @cached_property
    def pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(
            ca_certs=str(self.console.data / "tls" / "console-ca.crt"), retries=False, maxsize=4
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        bearer: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        headers = dict(headers or {})
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        url = self.console.ready["devices"] + path
        reply = self.pool.request(method, url, body=body, headers=headers, timeout=20)
        return reply.status, reply.data

    @property
    def short(self) -> str:
        """Return how messages name its certificate."""
        return short(digest(load_pem(self.enrolled.certificate, "present")[0]))

    def session(
        self,
        *,
        certificate: str | None = None,
        key: Path | None = None,
        nonce: str | None = None,
        instance: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """Open a session, by another's certificate, key or nonce where they are given."""
        if nonce is None:
            nonce = str(json.loads(self.ask("GET", "/device/nonce")[1])["nonce"])
        asked = SessionRequest(
            nonce=nonce,
            certificate=self.enrolled.certificate if certificate is None else certificate,
            instance=instance,
            signature=sign_session(key or self.folder / DEVICE_KEY, nonce),
        )
        status, body = self.ask("POST", "/device/session", body=records.to_json(asked))
        return status, json.loads(body)

    def renewal(self, folder: str, **more: Any) -> bytes:
        """Return what asks for a certificate of another key."""
        fields: dict[str, Any] = {
            "device": self.name,
            "incarnation": self.enrolled.incarnation,
            "certificate": self.short,
            "csr": new_device_key(self.folder / folder, self.name),
        }
        return RenewRequest(**(fields | more)).to_json()


@dataclass
class Coast:
    """A console without a broker, its devices, and their honest reports."""

    console: ConsoleProcess
    devices: dict[str, Device] = field(default_factory=dict)
    sent: int = 0
    failures: list[BaseException] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __getitem__(self, name: str) -> Device:
        return self.devices[name]

    @property
    def all(self) -> list[Device]:
        return list(self.devices.values())

    def others(self, but: Device) -> list[Device]:
        return [device for device in self.all if device is not but]

    def each(self, deed: Callable[[Device], None]) -> None:
        """Let every device do it, at the same time."""
        with ThreadPoolExecutor(len(self.devices)) as threads:
            list(threads.map(deed, self.all))

    def talk(self) -> None:
        """Report, each device in turn, until it is over."""
        try:
            while not self._over.wait(0.02):
                device = self.all[self.sent % len(self.devices)]
                said = device.report("fetched")
                self.sent += 1
                acks = device.post(said)
                assert acks == {device.stream: said.key.sequence}, (device.name, acks)
        except BaseException as e:  # noqa: BLE001 (told at the end)
            self.failures.append(e)

    def end(self, thread: threading.Thread) -> None:
        self._over.set()
        thread.join(20)
        assert not self.failures, self.failures
        assert self.sent > len(self.devices)
        for device in self.all:
            found = self.console.device(device.name)["streams"]
            streams = {one["stream"]: (one["acked"], one["highest"], one["lost"]) for one in found}
            assert streams.pop(device.stream) == (device.sequence, device.sequence, 0)
            assert set(streams) <= {"telemetry-1"}, (device.name, streams)


@pytest.fixture(scope="module")
def coast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coast]:
    base = tmp_path_factory.mktemp("https")
    publisher = RepositorySimulator(base)
    publisher.publish(publisher.bundle("digits", 1))
    with ConsoleProcess(base, publisher, arguments=("--broker", "none")) as console:
        console.upload()
        coast = Coast(console, {name: Device(console, name) for name in DEVICES})
        assert all(device.bearer for device in coast.all)
        thread = threading.Thread(target=coast.talk, daemon=True)
        thread.start()
        yield coast
        coast.end(thread)


@pytest.fixture
def outsider(coast: Coast) -> Callable[[str], Device]:
    """Enrol a device that sends no honest reports: it comes to harm."""
    return lambda name: Device(coast.console, name, token=coast.console.token(device=name))


def test_certificates_of_others(coast: Coast) -> None:
    """Every device shows the certificate of every other, and signs by its own key."""

    def steal(thief: Device) -> None:
        for victim in coast.others(thief):
            status, said = thief.session(certificate=victim.enrolled.certificate)
            assert (status, said["code"]) == (422, "signature"), (thief.name, victim.name)

    coast.each(steal)


def test_nonces(coast: Coast) -> None:
    """A nonce opens one session, of whoever signed it; what another signed opens none."""
    one, other = coast["pi"], coast["pi-1"]
    nonce = json.loads(one.ask("GET", "/device/nonce")[1])["nonce"]
    key = one.folder / DEVICE_KEY
    assert other.session(nonce=nonce, key=key)[1]["code"] == "signature"
    assert one.session(nonce=nonce)[1]["code"] == "signature", "it was used, though in vain"
    nonce = json.loads(one.ask("GET", "/device/nonce")[1])["nonce"]
    assert one.session(nonce=nonce)[0] == 200
    for again in (one, other):
        assert again.session(nonce=nonce)[1]["code"] == "signature"
    for invented in ("", "0" * 32, nonce.upper(), nonce + " "):
        assert one.session(nonce=invented)[1]["code"] == "signature"


def test_certificates_of_nobody(coast: Coast, tmp_path: Path) -> None:
    """A certificate that is foreign, forged, expired, a console's or an authority's is refused."""
    online = coast.console.data / "keys"
    grounds = Grounds(tmp_path / "elsewhere")
    grounds.make()
    stolen = Authority.load(online / "device-ca.pem", online / "device-ca.crt")
    leaf = load_pem(coast["pi-1"].enrolled.certificate, "pi-1")
    (tmp_path / "forged").mkdir()
    forge(tmp_path / "forged", "expired", ("pi-1",), by=stolen, ended=True)
    forge(tmp_path / "forged", "console.a", ("console.a",), by=stolen)
    forge(tmp_path / "forged", "no-fleet", ("pi-1",), by=stolen)
    forge(tmp_path / "forged", "self-made", ("pi-1",), by=None)
    found = [*(tmp_path / "forged").glob("*.crt"), *grounds.clients.glob("*.crt")]
    assert len(found) > 30
    for certificate in found:
        status, said = coast["pi"].session(
            certificate=certificate.read_text(), key=certificate.with_suffix(".key")
        )
        assert status in {403, 422}, (certificate, said)
    for pem in ("", "nonsense", leaf[1].public_bytes(Encoding.PEM).decode()):
        assert coast["pi"].session(certificate=pem)[0] == 422


def test_bearers(coast: Coast) -> None:
    """Only the bearer in its header counts: no other word, and nothing that a proxy adds."""
    thief, victim = coast["pi"], coast["pi-1"]
    told = {
        "X-Forwarded-For": "10.0.0.1",
        "Forwarded": "for=pi-1",
        "X-Real-IP": "10.0.0.1",
        "X-SSL-Client-S-DN": "CN=pi-1",
        "X-SSL-Client-Verify": "SUCCESS",
        "X-Forwarded-Client-Cert": "Subject=CN=pi-1",
        "X-Client-Cert": victim.enrolled.certificate.replace("\n", " "),
        "X-Remote-User": "pi-1",
        "Cookie": f"bearer={victim.bearer}; littoral_session={victim.bearer}",
    }
    words = ("", "Bearer", "Bearer ", f"Basic {victim.bearer}", f"Bearer {victim.bearer[:-1]}")
    for (method, path), word in itertools.product(ASKS, words):
        body = EMPTY if method == "POST" else None
        status, _ = thief.ask(method, path, body=body, headers={**told, "Authorization": word})
        assert status == 401, (path, word)
    for method, path in ASKS:
        more = f"{'&' if '?' in path else '?'}bearer={victim.bearer}&access_token={victim.bearer}"
        assert thief.ask(method, path + more, body=EMPTY if method == "POST" else None)[0] == 401
    # With a bearer of its own, a device is itself whatever else is told.
    status, body = thief.ask(
        "POST", "/device/messages", body=EMPTY, bearer=thief.bearer, headers=told
    )
    assert (status, records.from_json(Acks, body, limit=65536).acks) == (200, {})


def test_speaking_for_another(coast: Coast) -> None:
    """Every device says, under its own bearer, what every other would: nothing of it is taken."""
    runs = Running(model="digits", state="idle", release=666, good=666)
    before = {name: _shown(coast, name) for name in DEVICES}

    def speak(thief: Device) -> None:
        others = coast.others(thief)
        reports = [
            replace(other.report("healthy", release=666, sequence=9), detail="hostile")
            for other in others
        ]
        telemetry = [o.telemetry([666.0], start_ms=1_000, sequence=9) for o in others]
        assert thief.post(*reports, telemetry=telemetry) == {}
        for other in others:
            assert thief.post(status=other.status(runs, spool={other.stream: 10**6})) == {}

    coast.each(speak)
    after = {name: _shown(coast, name) for name in DEVICES}
    assert after == before
    assert "hostile" not in json.dumps(coast.console.rest.get("history", limit=1000))


def _shown(coast: Coast, name: str) -> dict[str, Any]:
    """Return what the console holds of a device, but for what honest reports change."""
    found = coast.console.device(name)
    device = found["device"]
    kept = ("models", "channel", "software", "hardware", "clock", "serving", "incarnation")
    return {key: device.get(key) for key in kept} | {"lost": [s["lost"] for s in found["streams"]]}


def test_documents_of_others(coast: Coast) -> None:
    """Every device polls, and names others in every way: it gets its own document alone."""
    coast.console.push("digits:1", to="all", force=True)

    def hear(thief: Device) -> None:
        for victim in coast.others(thief):
            path = f"/device/desired?after=0&wait_s=0&device={victim.name}&id={victim.name}"
            told = {"X-Device": victim.name, "X-Remote-User": victim.name}
            status, body = thief.ask("GET", path, bearer=thief.bearer, headers=told)
            assert status == 200
            assert json.loads(body)["signed"]["x-littoral"]["device"] == thief.name

    coast.each(hear)
    for path in ("/device/desired/pi-1", "/device/pi-1/desired", "/device/../device/desired/pi-1"):
        assert coast["pi"].ask("GET", path, bearer=coast["pi"].bearer)[0] == 404


def test_newer_keys_for_others(coast: Coast) -> None:
    """Every device asks for a newer key's certificate of every other."""

    def ask(thief: Device) -> None:
        for victim in coast.others(thief):
            body = thief.renewal("thief", device=victim.name, certificate=victim.short)
            status, said = thief.ask("POST", "/device/renew", body=body, bearer=thief.bearer)
            assert (status, json.loads(said)["code"]) == (403, "denied"), victim.name

    coast.each(ask)


def test_failing_all_the_time(coast: Coast) -> None:
    """Devices share an address: what one of them cannot prove is not held against the others."""
    thief = coast["pi"]
    for _ in range(30):
        assert thief.session(certificate=coast["pi-1"].enrolled.certificate)[0] == 422
    for device in coast.all:
        assert device.session()[0] == 200


def test_names_of_others(coast: Coast) -> None:
    """No board is enrolled by a name that is a console's, a wildcard, a path or another board's."""
    for name in ("console.a", "+", "#", "pi/up", "..", "", "PI", "x" * 65, "$SYS", "%u", "pi\n"):
        request = EnrollRequest(
            secret=Token.decode(coast.console.token()).secret,
            device=name,
            serial=f"a thief's {name}",
            csr=new_device_key(coast["pi"].folder / "thief", "pi"),
            hardware=(),
            software="",
        )
        assert coast["pi"].ask("POST", "/enroll", body=records.to_json(request))[0] == 403, name
    for victim in DEVICES[:4]:
        with pytest.raises(EnrolmentRefusedError, match="another board"):
            Device(coast.console, victim, serial="a thief's")


def test_bodies_without_end(coast: Coast) -> None:
    """A body is read no further than it may be long, and then refused."""
    thief = coast["pi"]
    for path, most in (
        ("/device/messages", 4 * 2**20),
        ("/device/renew", 2**16),
        ("/device/session", 2**16),
        ("/enroll", 2**16),
    ):
        body = b'{"x": "' + b"x" * most + b'"}'
        assert thief.ask("POST", path, body=body, bearer=thief.bearer)[0] == 413, path


@pytest.mark.parametrize("how", ["revoked", "superseded", "frozen", "replaced"])
def test_who_is_one_no_more(coast: Coast, outsider: Callable[[str], Device], how: str) -> None:
    """A bearer and a certificate of before are refused everywhere, and the reason is said."""
    device = outsider(f"once-{how}")
    assert device.ask(*ASKS[0], bearer=device.bearer)[0] == 204
    code = _end(coast, device, how)
    for method, path in ASKS:
        body = device.renewal("late") if "renew" in path else EMPTY if method == "POST" else None
        status, said = device.ask(method, path, body=body, bearer=device.bearer)
        assert (status, json.loads(said)["code"]) == (403, code), path
    status, told = device.session()
    assert (status, told["code"]) == (403, code)
    assert device.ask("GET", f"/time?nonce={'0f' * 8}")[0] == 200, "the time is everybody's"


def _end(coast: Coast, device: Device, how: str) -> str:
    """End what ``device`` is; return the code by which it is told."""
    match how:
        case "revoked":
            coast.console.rest.post(f"devices/{device.name}/revoke")
        case "superseded":
            key = (device.folder / DEVICE_KEY).read_bytes()
            Device(coast.console, device.name, token=coast.console.token(device=device.name))
            (device.folder / DEVICE_KEY).write_bytes(key)
        case "frozen":
            words = [device.session(instance=name)[1]["bearer"] for name in ("a", "b")]
            for word in (*words, *words, words[0]):
                device.ask(*ASKS[0], bearer=word)
        case _:
            body = device.renewal("newer")
            answer = device.ask("POST", "/device/renew", body=body, bearer=device.bearer)[1]
            newer = Renewed.from_json(answer).certificate
            _, opened = device.session(certificate=newer, key=device.folder / "newer" / DEVICE_KEY)
            named = short(digest(load_pem(newer, "newer")[0]))
            said = Post(status=device.status(certificate=named)).to_json()
            status, _ = device.ask("POST", "/device/messages", body=said, bearer=opened["bearer"])
            assert status == 200
    return {"replaced": "superseded"}.get(how, how)


def test_a_life_without_a_broker(coast: Coast, outsider: Callable[[str], Device]) -> None:
    """Enrol, learn the time, hear, fetch, report, send telemetry, renew: by HTTPS alone."""
    device = outsider("alone")
    assert device.enrolled.broker is None
    nonce = "5a" * 16
    answer = records.from_json(SignedTime, device.ask("GET", f"/time?nonce={nonce}")[1], limit=4096)
    check_time(answer, nonce, keys=coast.console.publisher.anchors.time)
    coast.console.push("digits:1", to="alone")
    assert device.desired(wait_s=10) is not None
    for blob in (coast.console.data / "repo" / "blobs").iterdir():
        status, found = device.ask("GET", f"/repo/blobs/{blob.name}", headers={"Range": "bytes=0-"})
        assert (status, sha256(found).hexdigest()) == (206, blob.name)
    runs = Running(model="digits", state="idle", release=1, good=1)
    said = [device.report(event) for event in ("fetched", "passed", "healthy")]
    window = device.telemetry([250.0], start_ms=1_000, sequence=1)
    acks = device.post(*said, status=device.status(runs), telemetry=[window])
    assert acks == {device.stream: 3, "telemetry-1": 1}
    shown = coast.console.device("alone")["device"]
    assert (shown["models"][0]["release"], shown["channel"]) == (1, "https")
    body = device.renewal("newer")
    assert device.ask("POST", "/device/renew", body=body, bearer=device.bearer)[0] == 200
