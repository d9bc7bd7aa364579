"""What must happen though nobody asks: signatures stay fresh, silence is seen, the old goes."""

import asyncio
import logging
from functools import partial
from typing import Final

from sqlalchemy import Connection, case, delete, update
from sqlalchemy.exc import SQLAlchemyError

from littoral.errors import BundleError, LittoralError, StorageError, TrustError
from littoral.trust.repository import Repository
from littoral_console import catalogue, endings, revocation
from littoral_console import tables as t
from littoral_console.context import Context

EVERY_S: Final = 30.0
HEED_S: Final = 0.5
SILENT_MS: Final = 5 * 60 * 1000  # over HTTPS a device asks all the time
MISSED: Final = 2.5  # windows, of a device that is heard through the broker; which tells its will
KEEP_TELEMETRY_MS: Final = 90 * 24 * 3600 * 1000
_log = logging.getLogger(__name__)


async def keep_up(context: Context, *, every_s: float = EVERY_S) -> None:
    """Do all of it every half minute, until cancelled."""
    while True:
        try:
            await once(context)
        except LittoralError as e:
            _log.error("upkeep: %s [%s]", e, e.code)
        await asyncio.sleep(every_s)


async def heed_others(context: Context, *, every_s: float = HEED_S) -> None:
    """Deny at our broker what another console on the same database has ended, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            if context.broker is not None:
                ended = await context.look(revocation.ended)
                if ended != context.broker.ended:
                    await context.deny_ended()
        except (LittoralError, SQLAlchemyError) as e:
            _log.error("what other consoles ended is not known: %s", e)


async def once(context: Context) -> None:
    """Do what is due now. Can be done twice."""
    now_ms = context.clock()
    await context.write(partial(_silent, now_ms=now_ms))
    await context.write(partial(_old, now_ms=now_ms))
    renewed = await context.write(partial(context.director.renew, now_ms=now_ms))
    context.bus.announce(renewed)
    await _expel(context)
    try:
        if await asyncio.to_thread(_stale, context):
            await asyncio.to_thread(context.repository.renew)
    finally:  # what cannot be signed ends
        found = await asyncio.to_thread(_endings, context)
        endings.tell(context.endings, found)
        context.endings = found


async def _expel(context: Context) -> None:
    """Set aside what somebody laid into the repository: it hides what is genuine from devices."""
    try:
        aside = await asyncio.to_thread(context.repository.expel)
    except (TrustError, BundleError, StorageError) as e:
        _log.error("what is forged in the repository is not known: %s [%s]", e, e.code)
        return
    if aside:
        job = partial(catalogue.tell_aside, aside=aside, who="console", now_ms=context.clock())
        await context.write(job)


def _stale(context: Context) -> bool:
    return context.repository.root is not None and context.repository.stale()


def _endings(context: Context) -> tuple[endings.Ending, ...]:
    held = Repository(context.repository.folder)
    return endings.endings(held, keys=context.keys, tls=context.tls, now_ms=context.clock())


def _silent(connection: Connection, *, now_ms: int) -> None:
    """Call nobody online who is not heard of, whatever was said last."""
    c = t.devices.c
    promised = (c.channel == "mqtt") & (c.heard_every_s > 0)
    silent_ms = case((promised, SILENT_MS + c.heard_every_s * int(MISSED * 1000)), else_=SILENT_MS)
    connection.execute(
        update(t.devices).where(c.online, c.last_seen_ms < now_ms - silent_ms).values(online=False)
    )


def _old(connection: Connection, *, now_ms: int) -> None:
    for table in (t.telemetry, t.model_errors, t.board_windows):
        connection.execute(delete(table).where(table.c.start_ms < now_ms - KEEP_TELEMETRY_MS))
    connection.execute(delete(t.sessions).where(t.sessions.c.expires_ms < now_ms))
