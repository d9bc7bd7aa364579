"""The channel over a broker: MQTT 5 over TLS, by the device's own certificate.

One thread, and paho driven by our own poll, so that connecting, sending and hearing never
race. Each connection gets a client of its own: what was not acknowledged by the console is sent
again by the outbox, and by nobody else.
"""

import contextlib
import logging
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from littoral import addresses
from littoral.backoff import Backoff
from littoral.errors import (
    DeniedError,
    LittoralError,
    MisuseError,
    StorageError,
    UnreachableError,
)
from littoral.wire.messages import ASK, BLOCK, Status, split_topic, topic
from littoral_agent import link, tls
from littoral_agent.bell import Bell
from littoral_agent.channel import Ends, Outbox
from littoral_agent.identity import Identity
from littoral_agent.renewal import Pair
from littoral_agent.renewer import heard as hear_of_renewal
from littoral_agent.routes import Proxy
from littoral_agent.verdict import Verdict

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

NAP_S: Final = 15.0
MOST_BYTES: Final = 64 * 1024

_REFUSALS: Final = (DeniedError, StorageError)  # of a pair

log = logging.getLogger(__name__)


class Mqtt:
    """Speaks with the console through the broker at ``broker`` (host:port)."""

    name = "mqtt"

    def __init__(
        self,
        ends: Ends,
        identity: Identity,
        *,
        broker: str,
        proxy: Proxy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._host, self._port = addresses.split(broker.removeprefix("mqtts://"))
        except ValueError as e:
            raise MisuseError(f"broker: {e}") from e
        self._ends, self._identity, self._proxy = ends, identity, proxy
        self._outbox = Outbox(ends, clock=clock)
        self._clock, self._keepalive_s = clock, ends.keepalive_s
        self._since_s = self._said_s = 0.0  # since when it is up, and when we spoke last
        self._backoff = Backoff(ends.retry_first_s, ends.retry_most_s)
        self._bell = Bell()
        self._stopping = False
        self._up = False
        self._news = True  # there may be something to say
        self._messages = 0  # that were heard
        self._blocks = ends.blocks
        if self._blocks is not None:
            self._blocks.wake = self._bell.ring
        self._trouble: LittoralError | None = None
        self._anew = False
        self._verdict = Verdict(
            self._where, incarnation=ends.incarnation, retry_s=ends.denied_retry_s
        )
        self._pair = Pair(identity.certificate, identity.key)  # by which it was opened
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def up(self) -> bool:
        return self._up

    @property
    def trouble(self) -> LittoralError | None:
        return None if self._up else self._trouble

    @property
    def denial(self) -> DeniedError | None:
        return None if self._up else self._verdict.denied

    def anew(self) -> None:
        self._anew = True
        self.wake()

    @property
    def _where(self) -> str:
        return addresses.join(self._host, self._port)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self.wake()
        if self._thread.ident is not None:
            self._thread.join(link.CONNECT_S)
        if not self._thread.is_alive():
            self._bell.close()

    def wake(self) -> None:
        self._news = True
        self._bell.ring()

    def tick(self) -> None:
        """Nothing depends on it here."""

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._converse()
            except LittoralError as e:
                self._trouble = e
                if not self._stopping:
                    pause_s = self._pause_after(e)
                    log.warning("%s [%s]; again in %.1f s", e, e.code, pause_s)
                    self._bell.nap(pause_s, until=lambda: self._stopping)

    def _pause_after(self, error: LittoralError) -> float:
        """Return how long to wait: not long for who is away, ever longer after a denial."""
        renewer = self._ends.renewer
        if self._pair.newer and renewer is not None and isinstance(error, _REFUSALS):
            renewer.unwelcome(self._pair)
            return self._backoff.next()
        if isinstance(error, DeniedError):
            return self._verdict.pause_after(error)
        return self._backoff.next()

    def _converse(self) -> None:
        """Connect and go on until the connection ends. Raises UnreachableError when it does."""
        client = self._connect()
        answered_by_s = time.monotonic() + link.ANSWER_S
        try:
            while not self._stopping and not self._anew:
                self._turn(client)
                if not self._up and time.monotonic() > answered_by_s:
                    raise UnreachableError(f"the broker at {self._where} does not answer")
            if self._stopping:
                self._say_goodbye(client)
        finally:
            ended = self._stopping or self._anew or self._verdict.told or self._verdict.refusal
            if self._since_s and not ended:
                lived_s = self._clock() - self._since_s
                self._keepalive_s = link.keepalive_after(lived_s, self._keepalive_s)
            self._up, self._since_s = False, 0.0
            if self._blocks is not None:
                self._blocks.closed()
            with contextlib.suppress(OSError):
                client.disconnect()

    def _connect(self) -> "Client":
        self._anew = False
        self._verdict.begin()
        if self._ends.renewer is not None:
            self._pair = self._ends.renewer.pair()
        secured = tls.context(
            self._identity.console_ca, certificate=self._pair.certificate, key=self._pair.key
        )
        client = link.new(
            self._ends.device,
            secured=secured,
            will=(self._up_topic("status"), self._offline()),
            proxy=self._proxy,
        )
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._heard
        client.on_disconnect = self._disconnected
        client.on_publish = lambda _c, _d, mid, reason, _p: self._verdict.published(mid, reason)
        client.on_log = lambda _c, _d, _level, words: self._verdict.logged(words)
        link.connect(client, self._host, self._port, keepalive_s=self._keepalive_s)
        return client

    def _turn(self, client: "Client") -> None:
        """Hear what came, send what is to be sent, wait for either."""
        if self._up:
            self._ask(client)
            if self._news or self._outbox.due_in_s() <= 0:
                self._news = False
                self._send(client)
        if (told := self._verdict.told) is not None:
            raise told
        opened = client.socket()
        if opened is None:
            refusal = self._verdict.refusal
            raise UnreachableError(
                f"the broker at {self._where} "
                + (f"refuses this device: {refusal}" if refusal else "hung up")
            )
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        poller.register(opened, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        wait_s = min(NAP_S, self._outbox.due_in_s() if self._up else link.CONNECT_S)
        ready = dict(poller.poll(wait_s * 1000))
        self._news = self._news or not ready
        if self._bell.fileno() in ready:
            self._bell.hush()
        events = ready.get(opened.fileno(), 0)
        if events & ~select.POLLOUT:
            link.read(client)
        if events & select.POLLOUT:
            client.loop_write()
        if self._clock() - self._said_s >= self._keepalive_s:
            client.loop_misc()  # it asks whether the broker is there, whatever was said since

    def _ask(self, client: "Client") -> None:
        """Ask for what is to come of files."""
        for ask in self._blocks.take() if self._blocks is not None else ():
            client.publish(topic(self._ends.device, ASK), ask, qos=0)
            self._said_s = self._clock()

    def _send(self, client: "Client") -> None:
        status = self._outbox.status()
        if status is not None:
            told = client.publish(self._up_topic("status"), status.to_json(), qos=1, retain=True)
            self._verdict.greeted(told.mid)
            self._said_s = self._clock()
        for message in self._outbox.take():
            # Telemetry goes again until the console has it: a broker's word is not worth its bytes.
            qos = 0 if message.kind == "telemetry" else 1
            client.publish(self._up_topic(message.kind), message.body, qos=qos)
            self._said_s = self._clock()
        renewer = self._ends.renewer
        if renewer is not None and (request := renewer.request()) is not None:
            client.publish(self._up_topic("renew"), request, qos=1)

    def _say_goodbye(self, client: "Client") -> None:
        """Say that we are off, for a broker tells the will only of those who do not say so."""
        if not self._up:
            return
        told = client.publish(self._up_topic("status"), self._offline(), qos=1, retain=True)
        for _ in range(20):
            opened = client.socket()
            if opened is None or told.is_published():
                return
            poller = select.poll()
            poller.register(opened, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            for _, events in poller.poll(100):
                if events & ~select.POLLOUT:
                    link.read(client)
                if events & select.POLLOUT:
                    client.loop_write()

    def _connected(
        self, client: "Client", _data: object, _flags: object, reason: "ReasonCode", _: object
    ) -> None:
        if self._verdict.connected(reason):
            client.subscribe(topic(self._ends.device, "down/#"), qos=1)

    def _subscribed(
        self, client: "Client", _data: object, _mid: int, reasons: list["ReasonCode"], _: object
    ) -> None:
        if not self._verdict.subscribed(reasons):
            return
        log.info("connected to the broker at %s", self._where)
        self._backoff.reset()
        if self._ends.renewer is not None:
            self._ends.renewer.welcomed(self._pair)
        self._outbox.rewind()
        self._up, self._since_s, self._news = True, self._clock(), True
        self._said_s = self._since_s
        if self._blocks is not None:
            self._blocks.opened(lambda: (link.received(client), self._messages))

    def _disconnected(
        self, _client: "Client", _data: object, _flags: object, reason: "ReasonCode", _: object
    ) -> None:
        self._up = False
        self._verdict.disconnected(reason)

    def _heard(self, _client: "Client", _data: object, message: "MQTTMessage") -> None:
        try:
            device, path = split_topic(message.topic)
        except LittoralError as e:
            log.warning("a message is ignored: %s", e)
            return
        body = bytes(message.payload)
        self._messages += 1
        if path == BLOCK and self._blocks is not None:
            self._blocks.heard(body)
            return
        self._news = True
        if device != self._ends.device or not 0 < len(body) <= MOST_BYTES:
            log.info("a message on %s is ignored", message.topic)
        elif path == "down/desired":
            self._ends.heard(body)
        elif path == "down/ack":
            self._outbox.acknowledged(body)
        elif path == "down/denied":
            self._verdict.heard(body)
        else:
            hear_of_renewal(self._ends.renewer, path, body)

    def _up_topic(self, path: str) -> str:
        return topic(self._ends.device, f"up/{path}")

    def _offline(self) -> bytes:
        incarnation = self._ends.incarnation
        return Status(device=self._ends.device, incarnation=incarnation, online=False).to_json()
