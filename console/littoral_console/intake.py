"""The one way in for what devices say, whichever channel brought it: a commit, then its effects.

To be used from the event loop; the database's writer does the work in its thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from littoral_console import ingest
from littoral_console.bus import Bus
from littoral_console.database import Database
from littoral_console.director import Director
from littoral_console.ingest import Effects, Heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    database: Database
    director: Director
    bus: Bus
    clock: Callable[[], int]

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
        self.bus.announce(effects.desired)
        return effects
