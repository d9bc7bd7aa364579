"""A console as its own process, and devices that tests play by hand.

with ConsoleProcess(tmp_path, publisher) as console:      # the command, its broker, its listeners
    device = DeviceSimulator(console, "edge-1")            # enrolled over the real listener
    with device.mqtt() as client:                          # its own certificate, the real broker
        client.say(device.report("healthy", model="digits", release=1))
        client.acked(device.stream, 1)                     # waits for the console's acknowledgement
    device.post(status=device.status())                    # or the same over HTTPS

The device's key, certificate request and session are what the agent's library makes; its
messages are those of littoral.wire. It keeps nothing: what is resent is resent by the test.
"""

import base64
import io
import json
import os
import queue
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import paho.mqtt.client as paho
import pytest
import urllib3
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from littoral import door, records
from littoral.trust.keys import DEVICE_KEY, new_device_key, sign_session
from littoral.wire.enrolment import Enrolled, EnrollRequest, SessionRequest, Token
from littoral.wire.messages import Acks, Key, Post, Report, Running, Status, topic
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Series, Telemetry
from littoral.wire.update import Update
from littoral_console.broker import program
from littoral_console.client import Console
from patience import patient
from simulators.repository import RepositorySimulator

T = TypeVar("T")

PASSWORD: Final = "correct horse"
needs_broker = pytest.mark.skipif(program() is None, reason="mosquitto is not installed")
WAIT_S: Final = 20.0
_STATES: Final = {  # of a model after an event, where the event does not end the update
    "desired": "fetching",
    "fetched": "testing",
    "postponed": "fetching",
    "passed": "probation",
    "woke": "probation",
}


def until(found: Callable[[], T | None], what: str, *, limit_s: float = WAIT_S) -> T:
    """Return what ``found`` finds, once it finds something."""
    end = time.monotonic() + patient(limit_s)
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {limit_s} s")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def littoral(*arguments: object, **environment: str) -> Done:
    """Run the command in this process, with nobody at the terminal."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = door.main([str(argument) for argument in arguments])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Done(code, out.getvalue(), err.getvalue())


@dataclass
class ConsoleProcess:
    """``littoral console``, with the keys of ``publisher``; started again where it was."""

    base: Path
    publisher: RepositorySimulator
    arguments: Sequence[str] = ()
    ready: dict[str, Any] = field(default_factory=dict)
    _token: str | None = None
    _process: subprocess.Popen[str] | None = None

    @property
    def data(self) -> Path:
        return self.base / "console"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def broker_pid(self) -> int:
        return int((self.data / "broker" / "pid").read_text())

    def __enter__(self) -> Self:
        if not (self.data / "keys").exists():
            self.data.mkdir(exist_ok=True)
            shutil.copytree(self.publisher.online, self.data / "keys")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, on the ports of before if there was a before; log in if nobody did."""
        http, devices = (
            self.ready[name].rpartition("/")[2] if self.ready else "127.0.0.1:0"
            for name in ("http", "devices")
        )
        command = [
            *(sys.executable, "-m", "littoral", "console", "--data", str(self.data), "--json"),
            *("--http", http, "--devices", devices, *self.arguments),
        ]
        log = (self.base / "console.log").open("ab")
        with log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self.base / "console.log").read_text()
        self.ready = json.loads(line)
        if self._token is None:
            code = self.ready["setup"].rpartition("=")[2]
            body = {"code": code, "username": "admin", "password": PASSWORD}
            self._token = Console(self.ready["http"]).post("setup", body)["token"]

    def stop(self) -> int:
        """End it as a person would; return its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        if process.poll() is None:
            process.send_signal(number)
        process.wait(WAIT_S)
        process.stdout.close()
        return process.returncode

    def kill_broker(self) -> None:
        os.kill(self.broker_pid, signal.SIGKILL)

    @property
    def rest(self) -> Console:
        return Console(self.ready["http"], token=self._token)

    def metrics(self) -> dict[str, float]:
        """Return what it tells of itself, without the name before each name."""
        url, headers = self.ready["http"] + "/metrics", {"Authorization": f"Bearer {self._token}"}
        text = urllib3.request("GET", url, headers=headers, timeout=WAIT_S).data.decode()
        found = re.findall(r"^littoral_console_(\S+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    def upload(self) -> list[dict[str, Any]]:
        """Send what the publisher has; return the releases that are new."""
        from littoral_console.uploading import upload

        found: list[dict[str, Any]] = upload(self.rest, self.publisher.folder, quiet=True)[
            "releases"
        ]
        return found

    def token(self, **more: object) -> str:
        word: str = self.rest.post("enrolment-tokens", more)["token"]
        return word

    def device(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.rest.get(f"devices/{name}")
        return found

    def outcome(self, rollout: int, device: str) -> dict[str, Any]:
        detail = self.rest.get(f"rollouts/{rollout}")
        found: dict[str, Any] = next(d for d in detail["devices"] if d["device"] == device)
        return found

    def push(self, release: str, **more: object) -> int:
        """Ask for MODEL:RELEASE; return the rollout's number."""
        model, _, number = release.partition(":")
        order = {"model": model, "release": int(number), **more}
        return int(self.rest.post("rollouts", order)["rollout"]["id"])


def once(key: Key) -> str:
    """Return what a report of that key bears for ever."""
    return f"{key.incarnation}/{key.stream}/{key.sequence}"


@dataclass
class DeviceSimulator:
    """A device with a key of its own, played by the test."""

    console: ConsoleProcess
    name: str
    serial: str = ""
    hardware: tuple[str, ...] = ("cpu-x86_64",)
    token: str = ""
    named: bool = True  # False: its name is a suggestion
    stream: str = "reports-1"
    sequence: int = 0

    def __post_init__(self) -> None:
        self.serial = self.serial or f"serial of {self.name}"
        self.folder = self.console.base / "devices" / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        word = Token.decode(self.token or self.console.token())
        request = EnrollRequest(
            secret=word.secret,
            device=self.name,
            serial=self.serial,
            csr=new_device_key(self.folder, self.name),
            hardware=self.hardware,
            software="0.1.0",
            named=self.named,
        )
        status, body = self.ask("POST", "/enroll", body=records.to_json(request))
        if status != 200:
            raise EnrolmentRefusedError(status, json.loads(body))
        self.enrolled = records.from_json(Enrolled, body, limit=65536)
        self.name = self.enrolled.device
        self.certificate = self.folder / "device.crt"
        self.certificate.write_text(self.enrolled.certificate)

    # -- what it says

    def key(self, sequence: int | None = None) -> Key:
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return Key(
            device=self.name,
            incarnation=self.enrolled.incarnation,
            stream=self.stream,
            sequence=sequence,
        )

    def report(
        self,
        event: str,
        *,
        model: str = "digits",
        release: int = 1,
        sequence: int | None = None,
        **more: Any,
    ) -> Report:
        ends = event in {"healthy", "refused", "failed", "dropped"}
        state = "idle" if ends else _STATES.get(event, event)
        update = Update(model=model, event=event, state=state, release=release, **more)
        key = self.key(sequence)
        return Report(key=key, once=once(key), time_ms=1_000, kind="update", update=update)

    def status(self, *models: Running, online: bool = True, **more: Any) -> Status:
        return Status(
            device=self.name,
            incarnation=self.enrolled.incarnation,
            online=online,
            time_ms=1_000,
            software="0.1.0",
            hardware=self.hardware,
            models=models,
            **more,
        )

    def telemetry(
        self,
        values_us: Sequence[float],
        *,
        start_ms: int,
        sequence: int,
        release: int = 1,
        stage: str = "invoke",
    ) -> Telemetry:
        sketch = Sketch()
        for value in values_us:
            sketch.record(value)
        series = Series(model="digits", release=release, variant="int8", stage=stage, sketch=sketch)
        key = Key(
            device=self.name,
            incarnation=self.enrolled.incarnation,
            stream="telemetry-1",
            sequence=sequence,
        )
        return Telemetry(key=key, start_ms=start_ms, duration_ms=60_000, series=(series,))

    # -- over HTTPS

    @cached_property
    def bearer(self) -> str:
        nonce = json.loads(self.ask("GET", "/device/nonce")[1])["nonce"]
        request = SessionRequest(
            nonce=nonce,
            certificate=self.enrolled.certificate,
            signature=sign_session(self.folder / DEVICE_KEY, nonce),
        )
        status, body = self.ask("POST", "/device/session", body=records.to_json(request))
        assert status == 200, body
        word: str = json.loads(body)["bearer"]
        return word

    def post(
        self,
        *reports: Report,
        status: Status | None = None,
        telemetry: Sequence[Telemetry] = (),
    ) -> dict[str, int]:
        """Send all in one request; return the acknowledgements."""
        words = tuple(base64.b64encode(t.encode()).decode() for t in telemetry)
        post = Post(status=status, reports=reports, telemetry=words)
        code, body = self.ask("POST", "/device/messages", body=post.to_json(), bearer=self.bearer)
        assert code == 200, body
        return records.from_json(Acks, body, limit=65536).acks

    def desired(self, *, after: int = 0, wait_s: float = 0) -> dict[str, Any] | None:
        """Return what is signed in the document above ``after``, None if there is none."""
        path = f"/device/desired?after={after}&wait_s={wait_s}"
        code, body = self.ask("GET", path, bearer=self.bearer)
        assert code in {200, 204}, body
        return json.loads(body)["signed"] if code == 200 else None

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
        with urllib3.PoolManager(
            ca_certs=str(self.console.data / "tls" / "console-ca.crt"), retries=False
        ) as pool:
            url = self.console.ready["devices"] + path
            reply = pool.request(method, url, body=body, headers=headers, timeout=WAIT_S)
            return reply.status, reply.data

    # -- over the broker

    def mqtt(self, *, client_id: str | None = None, clean: bool = True) -> "MqttClient":
        return MqttClient(
            self.console,
            certificate=self.certificate,
            key=self.folder / DEVICE_KEY,
            client_id=client_id or self.name,
            clean=clean,
        )


class EnrolmentRefusedError(Exception):
    def __init__(self, status: int, said: dict[str, Any]) -> None:
        super().__init__(f"{status} {said.get('code')}: {said.get('error', said)}")
        self.status, self.code, self.said = status, said.get("code"), said


class MqttClient:
    """A real MQTT 5 client with a certificate. ``heard`` is what arrives, in order."""

    def __init__(
        self,
        console: ConsoleProcess,
        *,
        certificate: Path,
        key: Path,
        client_id: str,
        clean: bool = True,
    ) -> None:
        host, _, port = console.ready["broker"].rpartition(":")
        self._where = (host, int(port))
        self._clean = clean
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.connected = False
        self.connections = 0  # how often it was connected so far
        self.refused: str | None = None
        self._codes: dict[int, ReasonCode] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5
        )
        context = ssl.create_default_context(cafile=str(console.data / "tls" / "console-ca.crt"))
        context.load_cert_chain(certificate, key)
        self._client.tls_set_context(context)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._names: list[str] = []
        self._client.on_message = lambda _c, _u, m: self.heard.put((m.topic, bytes(m.payload)))
        self._client.on_publish = self._on_publish

    def __enter__(self) -> Self:
        self._client.connect(*self._where, keepalive=30, clean_start=self._clean)
        self._client.loop_start()
        until(lambda: self.connected or self.refused, "connect")
        if self.refused:
            self._client.loop_stop()
            raise ConnectionRefusedError(self.refused)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, _c: object, _u: object, _f: object, code: ReasonCode, _p: object) -> None:
        self.connected = not code.is_failure
        self.connections += self.connected
        for name in self._names:  # a broker may have forgotten
            self._client.subscribe(name, qos=1)
        self.refused = str(code) if code.is_failure else None

    def _on_disconnect(
        self, _c: object, _u: object, _f: object, code: ReasonCode, _p: object
    ) -> None:
        if not self.connected:
            self.refused = str(code)
        self.connected = False

    def _on_publish(self, _c: object, _u: object, mid: int, code: ReasonCode, _p: object) -> None:
        self._codes[mid] = code

    def subscribe(self, name: str) -> None:
        self._names.append(name)
        self._client.subscribe(name, qos=1)
        time.sleep(0.2)

    def publish(self, name: str, body: bytes, *, retain: bool = False) -> str:
        """Publish, and return what the broker says of it, or of connecting again."""
        info = self._client.publish(name, body, qos=1, retain=retain)
        return str(until(lambda: self._codes.get(info.mid) or self.refused, "publish"))

    def throw(self, said: Report) -> None:
        """Send it, and do not wait for what the broker says."""
        self._client.publish(topic(said.key.device, "up/report"), said.to_json(), qos=1)

    def say(self, said: Status | Report | Telemetry) -> str:
        """Say it as the device that it is of."""
        match said:
            case Status():
                return self.publish(topic(said.device, "up/status"), said.to_json(), retain=True)
            case Report():
                return self.publish(topic(said.key.device, "up/report"), said.to_json())
            case Telemetry():
                return self.publish(topic(said.key.device, "up/telemetry"), said.encode())

    def next(self, *, limit_s: float = WAIT_S) -> tuple[str, bytes]:
        return self.heard.get(timeout=limit_s)

    def nothing(self, *, within_s: float = 0.5) -> bool:
        try:
            self.heard.get(timeout=within_s)
        except queue.Empty:
            return True
        return False

    def acked(self, stream: str, sequence: int, *, limit_s: float = WAIT_S) -> None:
        """Wait until the console has acknowledged ``stream`` up to ``sequence``."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            try:
                name, body = self.heard.get(timeout=0.2)
            except queue.Empty:
                continue
            if not name.endswith("/down/ack"):
                continue
            if records.from_json(Acks, body, limit=65536).acks.get(stream, 0) >= sequence:
                return
        raise AssertionError(f"{stream} {sequence}: not acknowledged within {limit_s} s")
