"""Honest traffic through the broker, and what everybody heard: the judge of each attack.

Twenty devices and two consoles talk all the while. Each message says whose it is; so whoever
hears one can tell whether it was for him, and each that was sent is looked for at its end.
"""

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from isolation.grounds import CONSOLES, DEVICES, GIVERS, Grounds
from isolation.link import WAIT_S, Heard, Link
from patience import patient

TOPICS: Final = "littoral/devices"
HOSTILE: Final = b"hostile"
SESSION_S: Final = 3600
_PAUSE_S: Final = 0.1


def up(device: str, path: str = "report") -> str:
    return f"{TOPICS}/{device}/up/{path}"


def down(device: str, path: str = "ack") -> str:
    return f"{TOPICS}/{device}/down/{path}"


@dataclass
class Fleet:
    grounds: Grounds
    where: tuple[str, int]
    links: dict[str, Link] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)  # by the receiver, honest messages for it
    attempts: int = 0
    desired: dict[str, bytes] = field(default_factory=dict)  # what is retained for each device,
    statuses: dict[str, bytes] = field(default_factory=dict)  # and of it
    wills: list[bytes] = field(default_factory=list)  # that consoles heard
    leaks: list[str] = field(default_factory=list)  # who heard what he should not have
    _numbers: Counter[str] = field(default_factory=Counter)
    _expected: dict[str, set[tuple[str, bytes]]] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _talking: "asyncio.Task[None] | None" = None

    async def open(self, name: str | None, **more: object) -> Link:
        """Connect as ``name``, by its own certificate and as it should."""
        settings = {"client_id": name, "clean": False, "expiry_s": SESSION_S} | more
        return await Link.open(self.where, self.grounds.context(name), **settings)  # type: ignore[arg-type]

    async def start(self) -> None:
        for name in (*CONSOLES, *GIVERS, *DEVICES):
            await self.join(name)
        for name in DEVICES:
            desired = self.desired[name] = self._message(CONSOLES[0])
            status = self.statuses[name] = self._message(name)
            await self.links[CONSOLES[0]].publish(down(name, "desired"), desired, retain=True)
            await self.links[name].publish(up(name, "status"), status, retain=True)
        self._talking = asyncio.create_task(self._talk())

    async def stop(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
        for link in self.links.values():
            await link.close()

    async def join(self, name: str) -> None:
        """Bring ``name`` on line, hearing what it may hear."""
        link = await self.open(name)
        everything = name in CONSOLES or name in GIVERS  # as far as it may
        filters = f"{TOPICS}/+/up/#" if everything else f"{TOPICS}/{name}/down/#"
        assert await link.subscribe(filters) == [1]
        self.links[name] = link

    async def leave(self, name: str) -> None:
        """Take ``name`` off line; the broker keeps what comes for it."""
        async with self._turn:
            link = self.links.pop(name)
            await link.close()
            self._listen(name, link)

    @asynccontextmanager
    async def without(self, name: str) -> AsyncIterator[None]:
        """Let somebody else use the name of a device, whose session ends with that."""
        await self.verdict()
        await self.leave(name)
        self.forget(name)
        try:
            yield
        finally:
            await self.join(name)

    def forget(self, name: str) -> None:
        """Expect nothing more of what was sent to ``name``."""
        self._expected.pop(name, None)

    def mark(self, who: str) -> bytes:
        """Return the body of a hostile message of ``who``."""
        self.attempts += 1
        return b"%s %s %d" % (HOSTILE, who.encode(), self.attempts)

    # -- honest traffic

    async def _talk(self) -> None:
        while True:
            await self.talk_once()
            await asyncio.sleep(_PAUSE_S)

    async def talk_once(self) -> None:
        """Let every device report, and each console tell every device something."""
        async with self._turn:
            devices = [name for name in DEVICES if name in self.links]
            await asyncio.gather(
                *(self._report(name) for name in devices),
                *(self._ask(name) for name in devices),
                *(self.tell(console, name) for console in CONSOLES for name in devices),
                *(self.tell(giver, name, "block") for giver in GIVERS for name in devices),
            )

    async def _report(self, device: str) -> None:
        body = self._message(device)
        for console in CONSOLES:
            self.expect(console, up(device), body)
        assert await self.links[device].publish(up(device), body) < 0x80, device

    async def _ask(self, device: str) -> None:
        body = self._message(device)
        for giver in GIVERS:
            self.expect(giver, up(device, "ask"), body)
        assert await self.links[device].publish(up(device, "ask"), body) < 0x80, device

    async def tell(self, console: str, device: str, path: str = "ack") -> None:
        body = self._message(console)
        self.expect(device, down(device, path), body)
        assert await self.links[console].publish(down(device, path), body) < 0x80, device

    def _message(self, who: str) -> bytes:
        self._numbers[who] += 1
        return b"honest %s %d" % (who.encode(), self._numbers[who])

    def expect(self, who: str, topic: str, body: bytes) -> None:
        self._expected.setdefault(who, set()).add((topic, body))
        self.sent[who] += 1

    # -- the verdict

    async def verdict(self) -> None:
        """Check that all was heard that was sent, and nothing else.

        What an attack before this call leaked was put before one more round of honest messages:
        whoever has heard that round has heard the leak.
        """
        assert self._talking is None or not self._talking.done(), self._talking
        await self.talk_once()
        wanted = {who: set(self._expected.get(who, ())) for who in self.links}
        try:
            await self.until(lambda: not self.missing(wanted))
        except TimeoutError:
            raise AssertionError(f"lost: {self.missing(wanted)}") from None
        assert not self.leaks, (len(self.leaks), self.leaks[:20])

    def missing(self, wanted: dict[str, set[tuple[str, bytes]]]) -> dict[str, int]:
        """Return how many messages of ``wanted`` each has not heard."""
        self.listen()
        left = {who: len(each & self._expected.get(who, set())) for who, each in wanted.items()}
        return {who: many for who, many in left.items() if many}

    def listen(self) -> None:
        """Judge what has come since."""
        for who, link in self.links.items():
            self._listen(who, link)

    def _listen(self, who: str, link: Link) -> None:
        for heard in link.heard:
            if heard.body.startswith(HOSTILE) and heard.topic.endswith("/status"):
                self.wills.append(heard.body)
            if rightful(who, heard):
                self._expected.get(who, set()).discard((heard.topic, heard.body))
            else:
                self.leaks.append(f"{who} heard {heard.topic}: {heard.body[:60]!r}")
        link.heard.clear()

    async def verdict_of(self, thief: str, link: Link) -> None:
        """Check the same of an attacker's own connection, which is not among the honest."""
        await self.verdict()
        for heard in link.heard:
            assert rightful(thief, heard), (thief, heard)
        await link.close()

    async def until(
        self, found: Callable[[], object | Awaitable[object]], *, within_s: float = WAIT_S
    ) -> None:
        """Wait until ``found`` says yes. Raises TimeoutError."""
        async with asyncio.timeout(patient(within_s)):
            while not await _answer(found()):
                await asyncio.sleep(0.01)
                self.listen()


async def _answer(found: object | Awaitable[object]) -> object:
    return await found if inspect.isawaitable(found) else found


def rightful(name: str, heard: Heard) -> bool:
    """Return whether ``name`` may hear this, from whom it says it is."""
    kind, _, rest = heard.body.partition(b" ")
    speaker = rest.partition(b" ")[0].decode()
    if name in CONSOLES:
        own = any(heard.topic == up(speaker, p) for p in ("status", "report", "telemetry"))
        return own and kind in {b"honest", HOSTILE}
    if name in GIVERS:
        return heard.topic == up(speaker, "ask") and kind in {b"honest", HOSTILE}
    teller = GIVERS if heard.topic == down(name, "block") else CONSOLES
    own = heard.topic.startswith(f"{TOPICS}/{name}/down/")
    return own and kind == b"honest" and speaker in teller
