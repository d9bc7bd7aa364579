"""What is the matter, what happened and how fast it goes: alarms, history, latency, audit."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import Connection

from littoral_console import audit as log
from littoral_console import queries, selectors
from littoral_console.access import Asked, Someone
from littoral_console.alarms import Alarm
from littoral_console.alarms import alarms as alarms_of
from littoral_console.context import Context
from littoral_console.drifting import ReleaseDrift, drifts
from littoral_console.queries.latency import By

router = APIRouter(tags=["reports"])

Many = Annotated[int, Query(ge=1, le=1000)]
Seconds = Annotated[int, Query(ge=1, le=366 * 24 * 3600)]
Selector = Annotated[str, Query(max_length=1024)]
_BY: tuple[By, ...] = ("model", "release", "stage")


class AuditLog(BaseModel):
    """``broken`` is the first entry that is not as it was written, null when all are."""

    broken: int | None
    entries: list[queries.Entry]


@router.get("/fleet")
async def fleet(context: Asked, _who: Someone) -> queries.Summary:
    return await context.look(queries.summary)


@router.get("/alarms")
async def alarms(context: Asked, _who: Someone) -> list[Alarm]:
    """Return what somebody should look at now, the worst first."""

    def look(connection: Connection) -> tuple[Alarm, ...]:
        return alarms_of(
            queries.devices(connection),
            endings=context.endings,
            claims=queries.claims_waiting(connection),
            now_ms=context.clock(),
            aside=context.repository.aside(),
        )

    return list(await context.look(look))


@router.get("/history")
async def history(
    context: Asked,
    _who: Someone,
    *,
    device: str | None = None,
    model: str | None = None,
    refused: bool = False,
    before: int | None = None,
    limit: Many = 100,
) -> list[queries.Change]:
    """Return what devices reported, newest first."""
    found = await context.look(
        partial(
            queries.history,
            device=device,
            model=model,
            refused=refused,
            before=before,
            limit=limit,
        )
    )
    return list(found)


@router.get("/telemetry")
async def telemetry(
    context: Asked,
    _who: Someone,
    *,
    model: str | None = None,
    release: int | None = None,
    stage: str | None = None,
    to: Selector = "all",
    since_s: Seconds = 3600,
    by: Annotated[Sequence[By], Query()] = _BY,
) -> list[queries.Latency]:
    """Return percentiles of the merged sketches of all devices that the selector means."""
    found = await context.look(
        partial(
            queries.latency,
            since_ms=context.clock() - since_s * 1000,
            devices=await _meant(context, to),
            model=model,
            release=release,
            stage=stage,
            by=by,
        )
    )
    return list(found)


@router.get("/telemetry/errors")
async def errors(
    context: Asked,
    _who: Someone,
    *,
    model: str | None = None,
    to: Selector = "all",
    since_s: Seconds = 3600,
) -> list[queries.Errors]:
    """Return how many requests each release failed by its own fault."""
    found = await context.look(
        partial(
            queries.errors,
            since_ms=context.clock() - since_s * 1000,
            devices=await _meant(context, to),
            model=model,
        )
    )
    return list(found)


@router.get("/telemetry/series")
async def series(
    context: Asked,
    _who: Someone,
    *,
    model: str | None = None,
    release: int | None = None,
    stage: str | None = None,
    to: Selector = "all",
    since_s: Seconds = 3600,
    step_s: Seconds = 60,
    by: Annotated[Sequence[By], Query()] = _BY,
) -> list[queries.LatencyPoint]:
    """Return the same for every step of time."""
    found = await context.look(
        partial(
            queries.latency_series,
            since_ms=context.clock() - since_s * 1000,
            step_ms=step_s * 1000,
            devices=await _meant(context, to),
            model=model,
            release=release,
            stage=stage,
            by=by,
        )
    )
    return list(found)


@router.get("/telemetry/boards")
async def boards(
    context: Asked,
    _who: Someone,
    *,
    to: Selector = "all",
    since_s: Seconds = 3600,
    step_s: Seconds | None = None,
) -> list[queries.BoardPoint]:
    """Return how boards were: every window, or one result for a step of time."""
    found = await context.look(
        partial(
            queries.board_windows,
            since_ms=context.clock() - since_s * 1000,
            step_ms=(step_s or 0) * 1000,
            devices=await _meant(context, to),
        )
    )
    return list(found)


@router.get("/telemetry/drift")
async def drift(
    context: Asked,
    _who: Someone,
    *,
    model: str | None = None,
    to: Selector = "all",
    since_s: Seconds = 24 * 3600,
) -> list[ReleaseDrift]:
    """Return how far what devices answer has moved from what each release was made with."""
    devices = await _meant(context, to)

    def look(connection: Connection) -> tuple[ReleaseDrift, ...]:
        return drifts(
            connection,
            context.repository,
            since_ms=context.clock() - since_s * 1000,
            devices=devices,
            model=model,
        )

    return list(await context.look(look))


@router.get("/audit")
async def audit(
    context: Asked, _who: Someone, before: int | None = None, limit: Many = 100
) -> AuditLog:
    """Return who did what, newest first, and whether the log is whole."""
    entries = await context.look(partial(queries.audit, before=before, limit=limit))
    return AuditLog(broken=await context.look(log.first_broken), entries=list(entries))


async def _meant(context: Context, to: str) -> list[str] | None:
    if to.strip() == "all":
        return None
    meant = selectors.parse(to)
    return [device.id for device in await context.look(queries.devices) if meant(device)]
