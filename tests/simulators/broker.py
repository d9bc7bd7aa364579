"""A real Mosquitto with mTLS, and a console that speaks through it as tests want.

with BrokerSimulator(tmp_path, repo) as broker:
    broker.desire("pi-7", document)        # retained
    broker.wait(lambda: broker.taken)      # what the console committed, each key once
    broker.deaf = True                     # the console commits and acknowledges nothing
    broker.kill(); broker.start()          # the broker dies and comes back, its memory gone

Access is as security notes ask: identity is username and client id, devices by pattern.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from littoral.trust import certificates
from littoral.trust.certificates import Authority
from littoral.trust.keys import new_device_key
from littoral.wire.messages import Acks, Key, Report, Status, split_topic, topic
from littoral.wire.telemetry import Telemetry
from littoral_agent.identity import Identity
from patience import patient
from simulators.repository import RepositorySimulator

NOW = datetime.now(UTC)


def mosquitto() -> str:
    """Return the broker's program, or skip."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip("mosquitto is not installed")
    return found


def enrol(repo: RepositorySimulator, folder: Path, *, device: str, ca: Path) -> Identity:
    """Write the identity of ``device``, as enrolment would."""
    folder.mkdir(parents=True, exist_ok=True)
    issuer = Authority.load(repo.online / "device-ca.pem", repo.online / "device-ca.crt")
    csr = new_device_key(folder, device)
    identity = Identity(folder)
    chain = certificates.issue_device(
        csr, fleet=repo.fleet, device=device, incarnation=1, ca=issuer, now=NOW
    )
    identity.certificate.write_text(chain)
    shutil.copy(ca, identity.console_ca)
    return identity


class ConsoleCa:
    """The console's CA, its server certificate and its own as a client."""

    def __init__(self, folder: Path, *, now: datetime = NOW, names: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.key = folder / "console-ca.pem", folder / "server.pem"
        self.certificate = folder / "server.crt"
        authority = certificates.new_ca(folder / "ca-key.pem", self.ca, name="console CA", now=NOW)
        certificates.issue_server(
            ["localhost", "127.0.0.1", *names],
            ca=authority,
            key=self.key,
            certificate=self.certificate,
            now=now,
        )
        self.client_key, self.client_certificate = folder / "a.pem", folder / "a.crt"
        certificates.issue_client(
            "console.a",
            ca=authority,
            key=self.client_key,
            certificate=self.client_certificate,
            now=NOW,
        )


class BrokerSimulator:
    def __init__(
        self, folder: Path, repo: RepositorySimulator, *, served_since: datetime = NOW
    ) -> None:
        self.program, self.folder, self.repo = mosquitto(), folder, repo
        self.tls = ConsoleCa(folder / "tls", now=served_since)
        self.port = free_port()
        self.deaf = False
        self.taken: dict[Key, bytes] = {}
        self.said: list[tuple[str, str, bytes]] = []  # device, path, body: every single one
        self.statuses: dict[str, Status] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def runs(self) -> bool:
        return self._process is not None

    def device(self, name: str) -> Identity:
        return enrol(self.repo, self.folder / "devices" / name, device=name, ca=self.tls.ca)

    def start(self) -> None:
        """Start the broker, then the console."""
        self.folder.mkdir(parents=True, exist_ok=True)
        user = pwd.getpwuid(os.geteuid()).pw_name
        authorities = self.folder / "authorities.pem"
        authorities.write_bytes(
            (self.repo.online / "device-ca.crt").read_bytes() + self.tls.ca.read_bytes()
        )
        (self.folder / "acl").write_text(
            "user console.a\n"
            "topic read littoral/devices/+/up/#\n"
            "topic write littoral/devices/+/down/#\n"
            "pattern write littoral/devices/%u/up/#\n"
            "pattern read littoral/devices/%u/down/#\n"
        )
        (self.folder / "mosquitto.conf").write_text(
            f"user {user}\n"
            "per_listener_settings false\n"
            "allow_anonymous false\n"
            f"listener {self.port} 127.0.0.1\n"
            f"cafile {authorities}\n"
            f"certfile {self.tls.certificate}\n"
            f"keyfile {self.tls.key}\n"
            "require_certificate true\n"
            "use_identity_as_username true\n"
            "use_username_as_clientid true\n"
            f"acl_file {self.folder / 'acl'}\n"
            "max_queued_messages 100000\n"
            "persistence false\n"
        )
        self._process = subprocess.Popen(
            [self.program, "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait(self._listens)
        self._speak()

    def kill(self) -> None:
        if self._client is not None:
            self._client.loop_stop()
            self._client = None
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def desire(self, device: str, document: bytes) -> None:
        assert self._client is not None
        told = self._client.publish(topic(device, "down/desired"), document, qos=1, retain=True)
        told.wait_for_publish(5)

    def acknowledge(self, device: str) -> None:
        """Acknowledge all that is committed without a gap, cumulatively."""
        acks: dict[str, int] = {}
        for key in sorted(self.taken, key=lambda k: (k.stream, k.sequence)):
            if key.device == device and key.sequence == acks.get(key.stream, 0) + 1:
                acks[key.stream] = key.sequence
        assert self._client is not None
        self._client.publish(topic(device, "down/ack"), Acks(acks=acks).to_json(), qos=1)

    @staticmethod
    def wait(until: Callable[[], object], *, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + patient(within_s)
        while not until():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def _speak(self) -> None:
        client = Client(CallbackAPIVersion.VERSION2, "console.a", protocol=MQTTv5)
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        context.verify_flags |= ssl.VerifyFlags(0x200000)
        context.load_cert_chain(self.tls.client_certificate, self.tls.client_key)
        client.tls_set_context(context)
        ready = threading.Event()
        client.on_message = self._heard
        client.on_connect = lambda c, *_: c.subscribe("littoral/devices/+/up/#", qos=1) and None
        client.on_subscribe = lambda *_: ready.set()
        known = {key.device for key in self.taken}
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        assert ready.wait(10)
        self._client = client
        for device in known:
            self.acknowledge(device)

    def _heard(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        device, path = split_topic(message.topic)
        body = bytes(message.payload)
        with self._lock:
            self.said.append((device, path, body))
            if path == "up/status":
                self.statuses[device] = Status.from_json(body)
                return
            if self.deaf:
                return
            key = Report.from_json(body).key if path == "up/report" else Telemetry.decode(body).key
            self.taken.setdefault(key, body)
        self.acknowledge(device)


def free_port() -> int:
    """Return a port to listen on soon: none that the kernel gives to a connection meanwhile."""
    while True:
        port = secrets.randbelow(22_000) + 10_000
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
