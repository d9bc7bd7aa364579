"""Broker and console are killed while devices speak: nothing is lost, nothing counted twice."""

import queue
import threading
import time
from functools import partial

from littoral import records
from littoral.wire.messages import Acks, topic
from patience import times
from simulators.console import ConsoleProcess, DeviceSimulator, MqttClient, needs_broker, until

BLOWS = times(3, thorough=6)  # the broker's first, then the console's


class Spool:
    """What a device does: on each connection it sends all that is not acknowledged, in order."""

    def __init__(self, device: DeviceSimulator, client: MqttClient) -> None:
        self._device, self._client = device, client
        self.acked = 0
        self.made = 0
        self.enough = threading.Event()  # no new ones
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        sent, connection = 0, 0
        while not self.stop.is_set():
            if not self.enough.is_set():
                self.made = min(self.made + 10, self.acked + 100)
            elif self.acked == self.made:
                return
            if connection != self._client.connections:
                sent, connection = self.acked, self._client.connections
            if self._client.connected:
                for sequence in range(sent + 1, self.made + 1):
                    said = self._device.report("fetched", release=sequence, sequence=sequence)
                    self._client.throw(said)
                sent = self.made
            self._listen(0.1)

    def beyond(self, sequence: int) -> bool:
        return self.acked > sequence

    def _listen(self, for_s: float) -> None:
        end = time.monotonic() + for_s
        while (left := end - time.monotonic()) > 0:
            try:
                name, body = self._client.heard.get(timeout=left)
            except queue.Empty:
                return
            if name.endswith("/down/ack"):
                acks = records.from_json(Acks, body, limit=65536).acks
                self.acked = max(self.acked, acks.get(self._device.stream, 0))


@needs_broker
def test_killing_broker_and_console_loses_and_doubles_nothing(fresh: ConsoleProcess) -> None:
    device = DeviceSimulator(fresh, "sturdy")
    with device.mqtt() as client:
        client.subscribe(topic("sturdy", "down/#"))
        spool = Spool(device, client)
        spool.thread.start()
        try:
            for n in range(BLOWS):
                begun = spool.acked
                until(partial(spool.beyond, begun + 20), "reports under way")
                if n % 3:
                    fresh.kill()
                    fresh.start()
                else:
                    fresh.kill_broker()
            spool.enough.set()
            spool.thread.join(60)
        finally:
            spool.stop.set()
            spool.thread.join()
    many = spool.made
    assert spool.acked == many > 20 * BLOWS
    found: list[int] = []
    before = None
    while page := fresh.rest.get("history", device="sturdy", limit=1000, before=before):
        found += [change["release"] for change in page]
        before = page[-1]["id"]
    assert sorted(found) == list(range(1, many + 1))
    stream = fresh.device("sturdy")["streams"][0]
    assert (stream["acked"], stream["highest"], stream["lost"]) == (many, many, 0)


def test_what_is_acknowledged_over_https_survives_a_kill(fresh: ConsoleProcess) -> None:
    device = DeviceSimulator(fresh, "https")
    many = times(3, thorough=5)
    for n in range(1, many + 1):
        assert device.post(device.report("fetched", release=n)) == {device.stream: n}
        fresh.kill()
        fresh.start()
        del device.bearer  # the new console knows no sessions; a device proves itself again
    assert device.post(device.report("fetched", release=many, sequence=many)) == {
        device.stream: many
    }
    found = fresh.rest.get("history", device="https")
    assert sorted(change["release"] for change in found) == list(range(1, many + 1))


def test_versions_never_go_back_over_kills(fresh: ConsoleProcess) -> None:
    device = DeviceSimulator(fresh, "monotone")
    last = 0
    for _ in range(times(2, thorough=3)):
        fresh.push("digits:1", to="monotone")
        signed = device.desired(after=last)
        assert signed is not None
        assert signed["version"] > last
        last = signed["version"]
        fresh.kill()
        fresh.start()
        del device.bearer
        assert device.desired(after=last) is None
