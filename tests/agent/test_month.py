"""What a device costs in a month over MQTT: a real broker, real TLS, real paho, counted bytes.

Only the clock is not real: it goes from one thing that happens to the next. What happens is
what a busy board does at the default pace: two models that answer ten requests a second each,
the board's readings, an alarm a day, a connection that breaks once a day, an update a week,
the director's document signed anew twice a week.
"""

import itertools
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from paho.mqtt import client as paho
from paho.mqtt.client import MQTTMessage

from littoral.wire.board import Board, Reading, window
from littoral.wire.messages import Acks, Key, Report, Running, Status, split_topic, topic
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Series, Telemetry
from littoral.wire.update import Update
from littoral_agent.mqtt import Mqtt
from littoral_agent.settings import Settings
from littoral_agent.spool import Spool
from patience import patient
from simulators.broker import BrokerSimulator, mosquitto
from simulators.ends import AgentsSide
from simulators.repository import RepositorySimulator
from simulators.wire import CountingWire, Traffic

log = logging.getLogger(__name__)

DAYS: Final = 30
WINDOW_S: Final = Settings().telemetry_window_s
WINDOWS: Final = round(DAYS * 24 * 3600 / WINDOW_S)
A_DAY: Final = WINDOWS // DAYS
MOST: Final = 5_000_000
STAGES: Final = (
    ("queue", 20, 0.5),
    ("preprocess", 400, 0.15),
    ("invoke", 9000, 0.08),
    ("postprocess", 30, 0.3),
)


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def of_paho(self) -> float:
        """Return it to the device; the console, which has a client too, lives in real time."""
        return self.now if threading.current_thread().name == "mqtt" else time.monotonic()


class Console(BrokerSimulator):
    """Acknowledges as the console does: the stream alone that was heard."""

    greetings = 0

    def _heard(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        device, path = split_topic(message.topic)
        body = bytes(message.payload)
        if path == "up/status":
            self.statuses[device] = Status.from_json(body)
            self.greetings += 1
            return
        key = Report.from_json(body).key if path == "up/report" else Telemetry.decode(body).key
        self.taken[key] = body
        acks = Acks(acks={key.stream: key.sequence})
        assert self._client is not None
        self._client.publish(topic(device, "down/ack"), acks.to_json(), qos=0)


class Month:
    """A device that lives through it."""

    def __init__(self, folder: Path, console: Console, wire: CountingWire, clock: Clock) -> None:
        name = "pi-7"
        self.console, self.wire, self.clock = console, wire, clock
        self.spool = Spool(folder / "spool.db", device=name, incarnation=1, cap_bytes=2**24)
        self.side = AgentsSide(self.spool)
        self.side.status = _status(name)
        defaults = Settings()
        ends = replace(
            self.side.ends,
            status_every_s=defaults.status_every_s,
            keepalive_s=defaults.keepalive_s,
        )
        address = f"127.0.0.1:{wire.port}"
        self.channel = Mqtt(ends, console.device(name), broker=address, clock=clock)
        self.spool.waiting = self.channel.wake
        self.windows = itertools.cycle([_busy(random.Random(n)) for n in range(12)])

    def live(self, windows: int) -> None:
        for n in range(1, windows + 1):
            self.clock.now += WINDOW_S
            self.tell()
            self.wait(self.told)
            if n % A_DAY == 0:
                self.a_day(n // A_DAY)

    def told(self) -> bool:
        return not self.spool.messages({}, limit=1)

    def tell(self) -> None:
        series, board = next(self.windows)

        def body(key: Key) -> bytes:
            start_ms = round(self.clock.now * 1000)
            return Telemetry(
                key=key,
                start_ms=start_ms,
                duration_ms=round(WINDOW_S * 1000),
                series=series,
                board=board,
            ).encode()

        self.spool.add("telemetry", body)

    def a_day(self, day: int) -> None:
        """Do what happens once a day, or less often."""
        for alarms in (("hot", "throttled"), ()):
            board = replace(self.side.status.board or Board(), alarms=alarms)
            self.side.status = replace(self.side.status, board=board)
            greetings = self.console.greetings
            self.channel.wake()
            self.wait(partial(self.greeted, greetings))
        if day % 7 == 0:
            self.update()
        if day % 4 == 0:
            many = len(self.side.documents)
            self.console.desire("pi-7", bytes(900))
            self.wait(lambda: len(self.side.documents) > many)
        greetings, connections = self.console.greetings, self.wire.connections
        self.wire.cut()
        self.wait(lambda: self.wire.connections > connections)
        self.connected(greetings)

    def greeted(self, more_than: int) -> bool:
        return self.console.greetings > more_than

    def connected(self, greetings: int) -> None:
        """Wait until the device has said who it is, once more than that, and heard the answer."""
        self.wait(lambda: self.channel.up and self.console.greetings > greetings)
        before = (0, 0)
        while before != (before := (self.wire.up, self.wire.down)):
            time.sleep(0.05)

    @staticmethod
    def wait(until: Callable[[], object]) -> None:
        deadline = time.monotonic() + patient(20)
        while not until():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.001)

    def update(self) -> None:
        for event in ("desired", "fetched", "passed", "healthy"):

            def body(key: Key, event: str = event) -> bytes:
                update = Update(
                    model="mobilenet", event=event, state="probation", release=12, manifest="a" * 64
                )
                return Report(
                    key=key, once=secrets.token_hex(16), time_ms=1, kind="update", update=update
                ).to_json()

            self.spool.add("report", body)
        for _ in range(5):  # windows of a minute while the candidate is watched
            self.tell()
        self.wait(self.told)


def _status(name: str) -> Status:
    models = tuple(
        Running(
            model=model,
            state="idle",
            release=12,
            manifest="a" * 64,
            variant="cpu-int8",
            good=12,
        )
        for model in ("mobilenet", "digits")
    )
    board = Board(
        model="Raspberry Pi 4 Model B Rev 1.4",
        boot="1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        cores=4,
        memory_mib=3792,
        disk_mib=29_000,
        accelerators=("Edge TPU, USB, 1-1.2",),
        runtimes={"libedgetpu": "16.0tf2.17.1-1", "ai-edge-litert": "2.3.0"},
        now=_reading(random.Random(1)),
    )
    return Status(
        device=name,
        incarnation=1,
        online=True,
        time_ms=1_763_000_000_000,
        software="0.1.0",
        hardware=("edgetpu-usb", "cpu-aarch64"),
        models=models,
        director=1_763_000_000_000,
        serving=True,
        heard_every_s=900,
        board=board,
    )


def _reading(chance: random.Random) -> Reading:
    return Reading(
        temperature_c=round(chance.uniform(45, 84), 1),
        frequency_mhz=chance.choice([600.0, 1500.0]),
        load=round(chance.uniform(0.1, 4), 2),
        memory_free_mib=round(chance.uniform(300, 900), 1),
        disk_free_mib=20_000.0,
        uptime_s=500_000.0,
        throttled=chance.random() < 0.1,
    )


def _busy(chance: random.Random) -> tuple[tuple[Series, ...], Any]:
    series = []
    for model, (stage, middle_us, sigma) in itertools.product(("digits", "mobilenet"), STAGES):
        sketch = Sketch()
        for _ in range(9000):
            slow = chance.uniform(1, 4) if chance.random() < 0.02 else 1
            sketch.record(middle_us * slow * chance.lognormvariate(0, sigma))
        series.append(
            Series(model=model, release=12, variant="cpu-int8", stage=stage, sketch=sketch)
        )
    return tuple(series), window(_reading(chance) for _ in range(15))


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Month]:
    mosquitto()
    clock = Clock()
    monkeypatch.setattr(paho, "time_func", clock.of_paho)
    repo = RepositorySimulator(tmp_path)
    with (
        Console(tmp_path / "broker", repo) as console,
        CountingWire(console.port) as wire,
    ):
        found = Month(tmp_path, console, wire, clock)
        found.channel.start()
        found.connected(0)
        yield found
        found.channel.stop()
        found.spool.close()


def test_a_busy_month_over_mqtt_is_at_most_five_megabytes(month: Month) -> None:
    month.live(WINDOWS)
    found: Traffic = month.wire.traffic()
    log.warning(
        "%d days, %d messages, %d connections: %d B up and %d B down in TLS; "
        "at most %d segments, with TCP and IPv4 %d B",
        *(DAYS, len(month.console.taken), found.connections, found.up, found.down),
        *(found.segments, found.ip),
    )
    assert len(month.console.taken) >= WINDOWS, "nothing is left out"
    assert found.tls <= 0.8 * MOST
    assert found.ip <= MOST, "with all that TCP and IP add"
