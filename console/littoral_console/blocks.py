"""Answers what devices ask for over the broker: files of the repository, in blocks, and the time.

It has a connection, a name and an event loop of its own, so that whatever is asked, and however
often, what else the console says and hears waits for nothing. It does not know what a file is good
for; asks.py knows whose turn it is.
"""

import asyncio
import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from littoral.backoff import Backoff
from littoral.errors import LittoralError, MalformedError
from littoral.wire.blocks import MOST_ASKS, TIME, Answer, Ask, Block
from littoral.wire.messages import ASK, BLOCK, TOPICS, split_topic, topic
from littoral_console.asks import MOST_DEVICES, Asks, Turn
from littoral_console.relay import client_context, first_of
from littoral_console.tls import Tls, blocks_name

_AT_ONCE: Final = 4  # devices for which something is read or sent
_STALE_S: Final = 30  # a broker that keeps a block for so long may forget it
_HEARD_S: Final = 5.0  # for how long it holds that a device is heard
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 10.0
_DEPTH_S: Final = 0.1  # of what may be sent at once where there is a rate
_log = logging.getLogger(__name__)
# aiomqtt tells of every message that it throws away, and here that is meant
_client_log = logging.getLogger(f"{__name__}.client")
_client_log.setLevel(logging.CRITICAL)


class Waiting(asyncio.Queue[aiomqtt.Message]):
    """Asks that nobody looked at yet, a device after the other: of each the newest few.

    Whoever asks faster than anybody looks loses asks of its own, and of nobody else's.
    """

    _queue: OrderedDict[str, deque[aiomqtt.Message]]

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 (what it may hold is said by device)
        self._queue = OrderedDict()

    def _put(self, item: aiomqtt.Message) -> None:
        self._queue.setdefault(item.topic.value, deque(maxlen=MOST_ASKS)).append(item)

    def _get(self) -> aiomqtt.Message:
        name, waiting = self._queue.popitem(last=False)
        item = waiting.popleft()
        if waiting:
            self._queue[name] = waiting
        return item


@dataclass(slots=True, kw_only=True)
class Blocks:
    tls: Tls
    where: Callable[[], tuple[str, int]]  # the broker's host and port, now
    read: Callable[..., tuple[bytes, int] | None]  # ImageRepository.read
    signed_time: Callable[[str], bytes]  # for a nonce; raises MalformedError of another word
    heard: Callable[[str], bool]  # whether a device is one
    rate_bytes_per_s: float = 0.0  # of all together; 0: as fast as it goes
    clock: Callable[[], float] = time.monotonic
    _asks: Asks = field(default_factory=Asks, init=False)
    _some: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _known: dict[str, tuple[bool, float]] = field(default_factory=dict, init=False)
    _knowing: threading.Lock = field(default_factory=threading.Lock, init=False)
    _full_s: float = field(default=0.0, init=False)  # when as much may be sent at once again

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(_RETRY_FIRST_S, _RETRY_MOST_S)
        while True:
            self._asks, self._some = Asks(), asyncio.Event()
            try:
                async with self._client() as client:
                    await client.subscribe(f"{TOPICS}/+/{ASK}", qos=0)
                    backoff.reset()
                    await first_of(
                        self._hear(client), *(self._answer(client) for _ in range(_AT_ONCE))
                    )
            except (aiomqtt.MqttError, OSError) as e:
                _log.info("the broker is away: %s", e)
            except Exception:  # noqa: BLE001 (a bug must not end the console)
                _log.exception("sending blocks failed; it begins anew")
            await asyncio.sleep(backoff.next())

    def _client(self) -> aiomqtt.Client:
        host, port = self.where()
        return aiomqtt.Client(
            host,
            port,
            identifier=blocks_name(self.tls.replica),
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=20,
            timeout=10,
            queue_type=Waiting,
            logger=_client_log,
            tls_context=client_context(self.tls, shown=self.tls.blocks),
        )

    async def _hear(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                device, _ = split_topic(str(message.topic))
                ask = Ask.decode(bytes(message.payload))
            except LittoralError as e:
                _log.info("%s: %s", str(message.topic)[:200], e)
                continue
            if ask.console in {"", self.tls.replica}:
                self._asks.put(device, ask, now=self.clock())
                self._some.set()

    async def _answer(self, client: aiomqtt.Client) -> None:
        """Answer one after the other. Others do the same beside it."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = _STALE_S
        while True:
            turn = self._asks.next()
            if turn is None:
                self._some.clear()
                await self._some.wait()
                continue
            block = await asyncio.to_thread(self._block, turn)
            if block is None:
                self._asks.drop(turn.device)
                continue
            await self._pace(len(block.data))
            name = topic(turn.device, BLOCK)
            await client.publish(name, block.encode(), qos=0, properties=properties)
            self._asks.done(turn, mark=block.mark, sent=len(block.data), total=block.total)
            self._some.set()

    def _block(self, turn: Turn) -> Block | None:
        """Return the answer, None for who is to have none. Not in the event loop."""
        if not self._is_heard(turn.device):
            return None
        ask, mark = turn.ask, secrets.randbits(32) or 1
        answered = partial(Block, number=ask.number, console=self.tls.replica, mark=mark)
        try:
            found = self._found(ask, turn.length)
        except (LittoralError, OSError) as e:
            _log.warning("%s: cannot be read: %s", ask.name, e)
            return answered(answer=Answer.AWAY)
        if found is None:
            return answered(answer=Answer.FORGOTTEN)
        data, total = found
        if ask.start > total or (ask.start == total > 0):
            return answered(answer=Answer.SHORT)
        return answered(start=ask.start, total=total, data=data)

    def _found(self, ask: Ask, length: int) -> tuple[bytes, int] | None:
        """Return a part of what is asked for, and how long it is."""
        if not ask.name.startswith(TIME):
            return self.read(ask.name, start=ask.start, length=length)
        try:
            said = self.signed_time(ask.name.removeprefix(TIME))
        except MalformedError:
            return None
        return said[ask.start : ask.start + length], len(said)

    def _is_heard(self, device: str) -> bool:
        """Whether the device may have anything: a broker that is not ours may let it ask."""
        known, until_s = self._known.get(device, (False, 0.0))
        if self.clock() >= until_s:
            known = self.heard(device)
            with self._knowing:
                self._known.pop(device, None)
                self._known[device] = known, self.clock() + _HEARD_S
                if len(self._known) > MOST_DEVICES:
                    self._known.pop(next(iter(self._known)))
        return known

    async def _pace(self, count: int) -> None:
        """Wait until so much may be sent."""
        if self.rate_bytes_per_s:
            now = self.clock()
            self._full_s = max(self._full_s, now) + count / self.rate_bytes_per_s
            await asyncio.sleep(max(0.0, self._full_s - now - _DEPTH_S))
