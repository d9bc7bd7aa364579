"""The console on the broker: hears every device, tells each what it shall run.

A topic says who speaks, because the broker lets nobody else write there; the message must
say the same. What is heard is committed in batches, and acknowledged after the commit.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from littoral.backoff import Backoff
from littoral.errors import LittoralError, MalformedError, StorageError
from littoral.wire.identity import Denied, Renew, RenewRequest
from littoral.wire.message import MAX_BYTES
from littoral.wire.messages import SAID, TOPICS, Acks, Report, Status, split_topic, topic
from littoral.wire.telemetry import Telemetry
from littoral_console import director, identities, renewal, streams
from littoral_console.director import Document
from littoral_console.ingest import Heard, Said
from littoral_console.intake import Intake
from littoral_console.tls import Tls

BATCH_S: Final = 0.05
BATCH_MOST: Final = 1000
_SESSION_S: Final = 3600  # how long the broker keeps for us what devices say while we are away
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 10.0
_FAREWELL_S: Final = 0.3  # what a broker may take before a device is denied all the same
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Relay:
    intake: Intake
    tls: Tls
    where: Callable[[], tuple[str, int]]  # the broker's host and port, now
    connected: bool = False
    _speaking: aiomqtt.Client | None = field(default=None, init=False)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(_RETRY_FIRST_S, _RETRY_MOST_S)
        while True:
            try:
                async with self._client() as client:
                    backoff.reset()
                    await self._serve(client)
            except (aiomqtt.MqttError, OSError) as e:
                _log.info("the broker is away: %s", e)
            except Exception:  # noqa: BLE001 (a bug must not end the listeners)
                _log.exception("the relay failed; it begins anew")
            finally:
                self.connected, self._speaking = False, None
            await asyncio.sleep(backoff.next())

    def _client(self) -> aiomqtt.Client:
        host, port = self.where()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        return aiomqtt.Client(
            host,
            port,
            identifier=self.tls.name,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            keepalive=20,
            timeout=10,
            max_inflight_messages=100,
            tls_context=client_context(self.tls),
        )

    async def _serve(self, client: aiomqtt.Client) -> None:
        # Not up/#: what devices ask for goes to another connection, and is much.
        await client.subscribe([(f"{TOPICS}/+/{path}", SubscribeOptions(qos=1)) for path in SAID])
        self.connected, self._speaking = True, client
        await self._repeat(client)
        await first_of(self._hear(client), self._tell(client))

    async def _hear(self, client: aiomqtt.Client) -> None:
        messages = client.messages
        async for first in messages:
            batch = [first]
            await asyncio.sleep(BATCH_S)  # for whatever comes with it: one commit for all
            while len(messages) and len(batch) < BATCH_MOST:
                batch.append(await anext(messages))
            heard = await asyncio.to_thread(_understood, batch)
            try:
                effects = await self.intake.take(heard)
            except StorageError as e:
                _log.error("nothing was stored, nothing is acknowledged: %s", e)
                continue
            await self._acknowledge(client, effects.acks)
            for message in batch:
                if str(message.topic).endswith("/up/renew"):
                    await self._renew(client, message)

    async def _renew(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        """Answer a newer key that asks for its certificate."""
        try:
            device, _ = split_topic(str(message.topic))
            request = RenewRequest.from_json(_capped(message.payload))
            renewed = await self.intake.renew(device, request)
        except LittoralError as e:
            _log.warning("%s: %s [%s]", str(message.topic)[:200], e, e.code)
            return
        await client.publish(topic(device, "down/renewed"), renewed.to_json(), qos=1)

    async def farewell(self, device: str, denied: Denied) -> None:
        """Tell the device that it is heard no more, if it listens now."""
        client = self._speaking
        if client is None:
            return
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = 2  # later it may be true no more
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_S):
                name, body = topic(device, "down/denied"), denied.to_json()
                await client.publish(name, body, qos=1, properties=properties)

    async def _acknowledge(
        self, client: aiomqtt.Client, acks: Mapping[str, dict[str, int]]
    ) -> None:
        for device, heads in acks.items():
            # Cumulative: the next one says it too, and who was away asks again.
            await client.publish(topic(device, "down/ack"), Acks(acks=heads).to_json(), qos=0)

    async def _tell(self, client: aiomqtt.Client) -> None:
        while True:
            device = await self.intake.bus.announced()
            document, renew = await self._wanted(device)
            await _publish(client, device, document)
            if renew is not None:
                await client.publish(topic(device, "down/renew"), renew.to_json(), qos=1)

    async def _repeat(self, client: aiomqtt.Client) -> None:
        """Say again all that is wanted and committed: the broker may have lost it."""

        def read() -> tuple[list[tuple[str, Document]], dict[str, dict[str, int]]]:
            with self.intake.database.reading() as connection:
                return list(director.documents(connection)), streams.heads(connection)

        documents, acks = await asyncio.to_thread(read)
        for device, document in documents:
            await _publish(client, device, document)
        await self._acknowledge(client, acks)

    async def _wanted(self, device: str) -> tuple[Document | None, Renew | None]:
        """Return what to say to ``device``: nothing to one that is denied everything."""

        def read() -> tuple[Document | None, Renew | None]:
            with self.intake.database.reading() as connection:
                held = identities.state(connection, device)
                if held is None or identities.standing(held) != "enrolled":
                    return None, None
                return director.document(connection, device), renewal.wanted(connection, device)

        return await asyncio.to_thread(read)


async def _publish(client: aiomqtt.Client, device: str, document: Document | None) -> None:
    if document is not None:
        await client.publish(topic(device, "down/desired"), document.data, qos=1, retain=True)


async def first_of(*work: Awaitable[None]) -> None:
    """Run all until one ends, then end the others; raise what that one raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
    for task in done:
        task.result()


def _understood(batch: Sequence[aiomqtt.Message]) -> list[Heard]:
    """Return what the messages say. Not in the event loop: what is small may take long to read."""
    return [one for message in batch if (one := understand(message)) is not None]


def understand(message: aiomqtt.Message) -> Heard | None:
    """Return what the message says, None when it says nothing that is known here."""
    name = str(message.topic)
    try:
        device, path = split_topic(name)
        said = _said(path, message.payload)
    except MalformedError as e:
        _log.warning("%s: %s", name[:200], e)
        return None
    if said is None:
        return None
    return Heard(device=device, channel="mqtt", said=said, replayed=bool(message.retain))


def _capped(body: bytes) -> bytes:
    if len(body) > MAX_BYTES:
        raise MalformedError(f"expected at most {MAX_BYTES} bytes, found {len(body)}")
    return body


def _said(path: str, body: bytes) -> Said | None:
    _capped(body)
    match path:
        case "up/status" if body:
            return Status.from_json(body)
        case "up/report":
            return Report.from_json(body)
        case "up/telemetry":
            return Telemetry.decode(body)
        case _:
            return None


def client_context(tls: Tls, *, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return how this console shows itself to a broker, and whom it believes to be one.

    ``shown`` are the files of another certificate and its key.
    """
    context = ssl.create_default_context(cafile=str(tls.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = shown or tls.client
    context.load_cert_chain(certificate, key)
    return context
