"""The one way in for what devices say, whichever channel brought it: a commit, then its effects.

To be used from the event loop; the database's writer does the work in its thread.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from littoral.wire.identity import Renewed, RenewRequest
from littoral_console import ingest, renewal
from littoral_console.bus import Bus
from littoral_console.database import Database
from littoral_console.director import Director
from littoral_console.ingest import Effects, Heard
from littoral_console.renewal import Issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    database: Database
    director: Director
    bus: Bus
    clock: Callable[[], int]
    issuer: Callable[[], Issuer]
    deny: Callable[[Iterable[str]], Awaitable[None]]  # what ended by now, and these devices
    evict: Callable[[str], Awaitable[None]]

    async def take(self, heard: Sequence[Heard]) -> Effects:
        """Return what follows from ``heard``, once it is committed.

        Raises:
            StorageError: Nothing of it was committed; acknowledge nothing.

        """
        now_ms = self.clock()
        future = self.database.writer.submit(
            lambda connection: ingest.apply(
                connection, heard, director=self.director, now_ms=now_ms
            )
        )
        effects = await asyncio.wrap_future(future)
        self.bus.announce(effects.desired | effects.wanted)
        if effects.frozen or effects.superseded:
            await self.deny(effects.frozen)
        for device in effects.moved:
            await self.evict(device)
        return effects

    async def renew(self, device: str, request: RenewRequest) -> Renewed:
        """Return the certificate of the newer key of ``device``, once it is committed.

        Raises:
            DeniedError, MalformedError: As renewal.renew.
            StorageError: It is not committed.

        """
        future = self.database.writer.submit(
            partial(
                renewal.renew,
                request=request,
                device=device,
                issuer=self.issuer(),
                now_ms=self.clock(),
            )
        )
        return await asyncio.wrap_future(future)
