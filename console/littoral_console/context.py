"""All that the console's listeners share: one of each, made once, handed to both."""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection

from littoral import addresses, durable, records
from littoral.errors import BundleError, MalformedError, StorageError, TrustError
from littoral.trust.keys import sign_time
from littoral.wire.identity import Denied
from littoral_console import accounts, catalogue, eviction, identities, revocation
from littoral_console.blobs import Blobs
from littoral_console.broker import Broker
from littoral_console.bus import Bus
from littoral_console.database import Database
from littoral_console.director import Director
from littoral_console.endings import Ending
from littoral_console.intake import Intake
from littoral_console.keys import OnlineKeys
from littoral_console.limits import Failures
from littoral_console.load import Load
from littoral_console.proofs import Proofs
from littoral_console.relay import Relay
from littoral_console.renewal import Issuer
from littoral_console.repository import BLOBS, ImageRepository
from littoral_console.tls import Tls

T = TypeVar("T")

FIRST_LOGIN: Final = "first-login"
CONSOLE: Final = "console.json"
_OTHERS_S: Final = 2.0
_NONCE: Final = re.compile(r"[0-9a-fA-F]{16,128}")
_log = logging.getLogger(__name__)


def system_clock() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, kw_only=True)
class Context:
    data: Path
    database: Database
    keys: OnlineKeys
    tls: Tls
    clock: Callable[[], int] = system_clock
    advertised: str = "127.0.0.1"  # where devices find this machine, unless they know better
    hosts: tuple[str, ...] = ()  # names by which people may call this console; empty: any
    secure: bool = False  # whether people come by TLS
    blobs: Blobs | None = None  # elsewhere than in DATA/repo
    bus: Bus = field(default_factory=Bus)
    failures: Failures = field(default_factory=Failures)
    proofs: Proofs = field(default_factory=Proofs)
    load: Load = field(default_factory=Load)
    broker: Broker | None = None  # the child
    external: tuple[str, int] | None = None  # somebody else's
    relay: Relay | None = None
    endings: tuple[Ending, ...] = ()  # of what the fleet's trust rests on; kept by upkeep
    repository: ImageRepository = field(init=False)
    director: Director = field(init=False)
    intake: Intake = field(init=False)
    # Few, for each that computes keeps the interpreter from the event loop.
    _looking: Executor = field(default_factory=lambda: ThreadPoolExecutor(2, "looking"), init=False)
    # A bucket may keep who asks it waiting: it keeps nobody else.
    _lending: Executor = field(default_factory=lambda: ThreadPoolExecutor(4, "lending"), init=False)
    _denying: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _denials: int = field(default=0, init=False)  # asked for
    _denied: int = field(default=0, init=False)  # of these, done

    def __post_init__(self) -> None:
        self.repository = ImageRepository(
            self.data, keys=self.keys, clock=self.clock, blobs=self.blobs
        )
        self.director = Director(self.keys.director)
        self.intake = Intake(
            database=self.database,
            director=self.director,
            bus=self.bus,
            clock=self.clock,
            issuer=self._issuer,
            deny=self.deny,
            evict=self.evict,
        )

    def _issuer(self) -> Issuer:
        return Issuer(authority=self.keys.device_ca, fleet=self.repository.anchors.fleet)

    def read(self, job: Callable[[Connection], T]) -> T:
        """Return what ``job`` reads. Not for the event loop's thread."""
        with self.database.reading() as connection:
            return job(connection)

    async def look(self, job: Callable[[Connection], T]) -> T:
        """Return what ``job`` reads, in another thread."""
        running = asyncio.get_running_loop()
        return await running.run_in_executor(self._looking, self.read, job)

    async def lent(self, name: str) -> Path | str | None:
        """Return what the repository has under ``name``, or where it is."""
        apart = self._lending if name.startswith(BLOBS) else None
        running = asyncio.get_running_loop()
        return await running.run_in_executor(apart, self.repository.lent, name)

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Return ``job``'s result once it is committed."""
        return await asyncio.wrap_future(self.database.writer.submit(job))

    def broker_for(self, host: str) -> str | None:
        """Return host:port of the broker for a device that reached this console as ``host``.

        The device has checked that name against the server's certificate, which is the
        broker's too; another name would be only a guess.
        """
        if self.external is not None:
            return addresses.join(*self.external)
        if self.broker is None:
            return None
        name = host if host in self.tls.names else self.advertised
        return addresses.join(name, self.broker.port)

    def devices_url(self) -> str:
        """Return where devices find this console, as DATA/console.json says."""
        try:
            return str(json.loads((self.data / CONSOLE).read_bytes())["devices"])
        except (OSError, ValueError, LookupError):
            return f"https://{self.advertised}:8443"

    def signed_time(self, nonce: str) -> bytes:
        """Return the time as a SignedTime in JSON, for this nonce alone.

        Raises:
            MalformedError: That is no nonce.

        """
        if not _NONCE.fullmatch(nonce):
            raise MalformedError("nonce: expected 16 to 128 hexadecimal digits")
        return records.to_json(sign_time(self.keys.time, nonce, utc_ms=self.clock()))

    def recover(self) -> None:
        """Bring repository and tables to one state: after a kill, a restore, or nothing."""
        known = self.read(catalogue.known)
        try:
            admitted = self.repository.recover(known=known)
        except (TrustError, BundleError, StorageError) as e:
            _log.error("the repository is served as it is: %s [%s]", e, e.code)
            return
        if admitted is not None:
            job = partial(catalogue.record, admitted=admitted, who="console", now_ms=self.clock())
            self.database.writer.write(job)

    def first_login(self) -> str | None:
        """Return the one-time code of the first login, None when somebody can log in already."""
        path = self.data / FIRST_LOGIN
        if self.read(accounts.any_user):
            durable.remove(path)
            return None
        code = self.database.writer.write(accounts.new_setup_code)
        durable.replace(path, f"{code}\n".encode())
        return code

    def set_up(self) -> None:
        """Forget the first login: somebody used it."""
        durable.remove(self.data / FIRST_LOGIN)

    async def deny(self, devices: Iterable[str] = ()) -> None:
        """Let everybody feel what ended by now: who waits, who is connected, who will connect.

        ``devices`` are those that are heard no more; each is told so, if it listens. One that came
        back between that and its denial missed it, and would take its connection for a good one.
        """
        devices = tuple(devices)
        self.bus.announce(devices)
        if self.relay is not None:
            for device, denied in await self.look(partial(_farewells, devices=devices)):
                await self.relay.farewell(device, denied)
        await self.deny_ended()
        if devices:
            await self._others()
        for device in devices:
            await self.evict(device)

    async def succeed(self, device: str) -> None:
        """Let nobody go on under what ``device`` was before it was enrolled anew.

        Twice: a denial must not be lifted while a connection stands, and one whose certificate
        is not denied yet comes back. Where another console has the broker, it needs a moment.
        """
        await self.evict(device)
        await self._others()
        await self.deny_ended()
        await self.evict(device)

    async def _others(self) -> None:
        """Give another console, which has the broker, the time to deny what ended."""
        if self.broker is None and self.relay is not None:
            await asyncio.sleep(_OTHERS_S)

    async def evict(self, device: str) -> None:
        """End the connection of ``device`` to the broker, whoever has it."""
        if self.relay is not None:
            await eviction.evict(device, relay=self.relay, issuer=self._issuer())

    async def deny_ended(self) -> None:
        """Make the broker deny exactly what ended by now; once for all who ask meanwhile."""
        if self.broker is None:
            return
        self._denials += 1
        mine = self._denials
        async with self._denying:
            if self._denied >= mine:
                return
            asked = self._denials
            found = await self.look(revocation.ended)
            await asyncio.to_thread(self.broker.deny, found)
            self._denied = asked

    def write_addresses(self, *, http: str, devices: str, pid: int) -> None:
        """Write DATA/console.json, by which programs on this machine find the console."""
        found = {
            "http": http,
            "devices": devices,
            "broker": self.broker_for(self.advertised),
            "pid": pid,
        }
        durable.replace(self.data / CONSOLE, (json.dumps(found) + "\n").encode())


def _farewells(connection: Connection, *, devices: Iterable[str]) -> list[tuple[str, Denied]]:
    found = []
    for device in devices:
        held = identities.state(connection, device)
        if held is None:
            continue
        error = identities.denial(held, device, held.incarnation)
        if error is not None:
            denied = Denied(incarnation=held.incarnation, code=error.code, error=str(error))
            found.append((device, denied))
    return found
