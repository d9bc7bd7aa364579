"""Devices: what is known of each, and what may be done with it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, update

from littoral.errors import NotFoundError
from littoral_console import audit, enrolment, queries, selectors
from littoral_console import tables as t
from littoral_console.access import Administrator, Asked, Someone

router = APIRouter(tags=["devices"])

Labels = Annotated[dict[str, str], Field(max_length=32)]


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    labels: Labels


@router.get("/devices")
async def devices(
    context: Asked, _who: Someone, to: Annotated[str, Query(max_length=1024)] = "all"
) -> list[queries.Device]:
    """Return the devices that the selector means."""
    meant = selectors.parse(to)
    return [device for device in await context.look(queries.devices) if meant(device)]


@router.get("/devices/{name}")
async def device(name: str, context: Asked, _who: Someone) -> queries.DeviceDetail:
    found = await context.look(partial(queries.device, name=name))
    if found is None:
        raise NotFoundError(f"no device {name[:64]!r}")
    return found


@router.patch("/devices/{name}")
async def change(
    name: str, body: Change, context: Asked, who: Administrator
) -> queries.DeviceDetail:
    """Replace the device's labels."""
    labels = enrolment.check_labels(body.labels)

    def job(connection: Connection) -> None:
        _must_exist(connection, name)
        connection.execute(update(t.devices).where(t.devices.c.id == name).values(labels=labels))
        audit.record(
            connection,
            "device.labels",
            who=who.name,
            subject=name,
            now_ms=context.clock(),
            detail=labels,
        )

    await context.write(job)
    return await device(name, context, who)


@router.post("/devices/{name}/revoke")
async def revoke(name: str, context: Asked, who: Administrator) -> queries.DeviceDetail:
    """Deny the device everything from now on, on its live connections too."""

    def job(connection: Connection) -> None:
        _must_exist(connection, name)
        now_ms = context.clock()
        row = update(t.devices).where(t.devices.c.id == name, t.devices.c.revoked_ms.is_(None))
        connection.execute(row.values(revoked_ms=now_ms, online=False))
        audit.record(connection, "device.revoke", who=who.name, subject=name, now_ms=now_ms)

    await context.write(job)
    await context.deny_revoked()
    return await device(name, context, who)


def _must_exist(connection: Connection, name: str) -> None:
    if not queries.devices(connection, only=name):
        raise NotFoundError(f"no device {name[:64]!r}")
