"""An MQTT client as an attacker would write one: every packet by hand, every answer kept.

Speaks 5, 3.1.1 and what bridges say. It acknowledges what it hears, and repairs nothing: a
connection that ends has ended.
"""

import asyncio
import contextlib
import itertools
import ssl
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, DISCONNECT = 10, 11, 14
SESSION_EXPIRY, TOPIC_ALIAS, WILL_DELAY = 0x11, 0x23, 0x18
WAIT_S: Final = 20.0


class ShutOutError(Exception):
    """The broker does not let this client in."""


@dataclass(frozen=True, slots=True)
class Heard:
    topic: str
    body: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    body: bytes
    retain: bool = True
    delay_s: int = 0


@dataclass(slots=True)
class Link:
    """One connection. ``heard`` is all that ever came, in order."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    level: int = 5
    heard: list[Heard] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    session_present: bool = False
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _answers: dict[int, "asyncio.Future[list[int]]"] = field(default_factory=dict)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(20))
    _reading: "asyncio.Task[None] | None" = None

    @classmethod
    async def open(
        cls,
        where: tuple[str, int],
        context: ssl.SSLContext,
        *,
        client_id: str,
        level: int = 5,
        clean: bool = True,
        expiry_s: int = 0,
        username: str | None = None,
        will: Will | None = None,
    ) -> Self:
        """Connect. Raises ShutOutError."""
        try:
            async with asyncio.timeout(WAIT_S):
                reader, writer = await asyncio.open_connection(*where, ssl=context)
        except (OSError, ssl.SSLError) as e:
            raise ShutOutError(str(e)) from e
        link = cls(reader, writer, level)
        writer.write(
            hello(
                client_id, level=level, clean=clean, expiry_s=expiry_s, username=username, will=will
            )
        )
        try:
            async with asyncio.timeout(WAIT_S):
                await writer.drain()
                kind, _, body = await link._packet()
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError) as e:
            writer.transport.abort()
            raise ShutOutError(str(e)) from e
        if kind != CONNACK or body[1] != 0:
            writer.transport.abort()
            raise ShutOutError(f"packet {kind}, code {body[1]}")
        link.session_present = bool(body[0] & 1)
        link._reading = asyncio.create_task(link._read())
        return link

    async def publish(
        self, topic: str, body: bytes, *, retain: bool = False, alias: int | None = None
    ) -> int:
        """Publish with quality 1; return what the broker says: 0 is yes, for 3.1.1 always.

        A connection that ends instead is a no: 0x80.
        """
        number = self._number()
        more = b"" if alias is None else struct.pack(">BH", TOPIC_ALIAS, alias)
        packet = _words(topic) + struct.pack(">H", number) + properties(self.level, more) + body
        return (await self._ask(PUBLISH, 0b0010 | retain, packet, number))[0]

    async def subscribe(self, *filters: str) -> list[int]:
        """Ask to hear; return what the broker grants, 0x80 and above being refusals."""
        number = self._number()
        wanted = b"".join(_words(name) + b"\x01" for name in filters)
        packet = struct.pack(">H", number) + properties(self.level) + wanted
        return await self._ask(SUBSCRIBE, 0b0010, packet, number)

    async def unsubscribe(self, *filters: str) -> None:
        number = self._number()
        packet = struct.pack(">H", number) + properties(self.level) + b"".join(map(_words, filters))
        await self._ask(UNSUBSCRIBE, 0b0010, packet, number)

    async def send(self, packet: bytes) -> None:
        """Send any bytes."""
        with contextlib.suppress(OSError, ssl.SSLError):
            self.writer.write(packet)
            await self.writer.drain()

    async def closing(self) -> None:
        """Wait until the broker has hung up."""
        async with asyncio.timeout(WAIT_S):
            await self.ended.wait()

    async def close(self) -> None:
        """Say goodbye, so that the will is not told."""
        await self.send(bytes((DISCONNECT << 4, 0)))
        await self.drop()

    async def drop(self) -> None:
        """Vanish without a word."""
        self.writer.transport.abort()
        if self._reading is not None:
            await self._reading

    async def _ask(self, kind: int, flags: int, packet: bytes, number: int) -> list[int]:
        async with self._room, asyncio.timeout(WAIT_S):
            if self.ended.is_set():
                return [0x80]
            answer = self._answers[number] = asyncio.get_running_loop().create_future()
            await self.send(bytes((kind << 4 | flags,)) + length(len(packet)) + packet)
            codes: list[int] = await answer
            return codes

    def _number(self) -> int:
        while (number := next(self._numbers) % 65536) in {0, *self._answers}:
            pass
        return number

    async def _read(self) -> None:
        try:
            while True:
                kind, flags, body = await self._packet()
                if kind == PUBLISH:
                    self._take(flags, body)
                elif kind in {PUBACK, SUBACK, UNSUBACK}:
                    self._answered(kind, body)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            self.ended.set()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_result([0x80])
            self.writer.transport.abort()

    def _take(self, flags: int, body: bytes) -> None:
        size = int.from_bytes(body[:2])
        topic, at = body[2 : 2 + size].decode(), 2 + size
        if flags & 0b0110:
            self.writer.write(bytes((PUBACK << 4, 2)) + body[at : at + 2])
            at += 2
        if self.level == 5:
            many, at = _length_at(body, at)
            at += many
        self.heard.append(Heard(topic, body[at:], bool(flags & 1)))

    def _answered(self, kind: int, body: bytes) -> None:
        answer = self._answers.pop(int.from_bytes(body[:2]), None)
        if answer is None or answer.done():
            return
        if kind == PUBACK:
            answer.set_result([body[2] if len(body) > 2 else 0])
            return
        many, at = _length_at(body, 2) if self.level == 5 else (0, 2)
        answer.set_result(list(body[at + many :]))

    async def _packet(self) -> tuple[int, int, bytes]:
        first = (await self.reader.readexactly(1))[0]
        size = shift = 0
        while True:
            digit = (await self.reader.readexactly(1))[0]
            size |= (digit & 127) << shift
            shift += 7
            if not digit & 128:
                return first >> 4, first & 15, await self.reader.readexactly(size)


def hello(
    client_id: str,
    *,
    level: int = 5,
    clean: bool = True,
    expiry_s: int = 0,
    username: str | None = None,
    will: Will | None = None,
) -> bytes:
    """Return a CONNECT."""
    flags = clean << 1 | (username is not None) << 7 | (username is not None) << 6
    payload = _words(client_id)
    if will is not None:
        flags |= 1 << 2 | 1 << 3 | will.retain << 5
        late = struct.pack(">BI", WILL_DELAY, will.delay_s) if will.delay_s else b""
        payload += properties(level, late) + _words(will.topic)
        payload += struct.pack(">H", len(will.body)) + will.body
    if username is not None:
        payload += _words(username) + _words("a password")
    head = _words("MQTT") + struct.pack(">BBH", level, flags, 60)
    head += properties(level, struct.pack(">BI", SESSION_EXPIRY, expiry_s))
    packet = head + payload
    return bytes((CONNECT << 4,)) + length(len(packet)) + packet


def properties(level: int, *each: bytes) -> bytes:
    """Return them as this protocol wants them: 3.1.1 knows of none."""
    joined = b"".join(each)
    return length(len(joined)) + joined if level == 5 else b""


def published(topic: bytes, body: bytes = b"", *, head: bytes = b"") -> bytes:
    """Return a PUBLISH of quality 0 for any bytes of a topic, legal or not."""
    packet = struct.pack(">H", len(topic)) + topic + b"\0" + body
    return bytes((PUBLISH << 4,)) + (head or length(len(packet))) + packet


def length(number: int) -> bytes:
    """Return ``number`` in digits of seven bits."""
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        digits.append(digit | (128 if number else 0))
        if not number:
            return bytes(digits)


def _length_at(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        digit = body[at]
        number |= (digit & 127) << shift
        at, shift = at + 1, shift + 7
        if not digit & 128:
            return number, at


def _words(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def refused(codes: Sequence[int]) -> bool:
    return all(code >= 0x80 for code in codes)
