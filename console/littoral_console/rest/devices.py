"""Devices: what is known of each, and what may be done with it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, update

from littoral.errors import NotFoundError
from littoral_console import audit, identities, queries, selectors, tokens
from littoral_console import tables as t
from littoral_console.access import Administrator, Asked, Someone

router = APIRouter(tags=["devices"])

Labels = Annotated[dict[str, str], Field(max_length=32)]


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")

    labels: Labels


class Rotation(BaseModel):
    """Which devices shall make newer keys."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(max_length=1024)]


class Rotating(BaseModel):
    devices: list[str]


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
        raise NotFoundError(f"no device {name[:64]!r}; see: littoral fleet devices")
    return found


@router.patch("/devices/{name}")
async def change(
    name: str, body: Change, context: Asked, who: Administrator
) -> queries.DeviceDetail:
    """Replace the device's labels."""
    labels = tokens.check_labels(body.labels)

    def job(connection: Connection) -> None:
        identities.must_exist(connection, name)
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
    now_ms = context.clock()
    await context.write(
        partial(identities.revoke, device=name, who=who.name, now_ms=now_ms),
    )
    await context.deny([name])
    return await device(name, context, who)


@router.post("/devices/{name}/thaw")
async def thaw(name: str, context: Asked, who: Administrator) -> queries.DeviceDetail:
    """Hear a frozen device again."""
    now_ms = context.clock()
    await context.write(partial(identities.thaw, device=name, who=who.name, now_ms=now_ms))
    await context.deny()
    return await device(name, context, who)


@router.post("/devices/{name}/rotate")
async def rotate(name: str, context: Asked, who: Administrator) -> queries.DeviceDetail:
    """Ask the device for a newer key; its present one counts until it was heard by that."""
    await _rotate([name], context, who)
    return await device(name, context, who)


@router.post("/rotations", status_code=201)
async def rotate_many(body: Rotation, context: Asked, who: Administrator) -> Rotating:
    """Ask every device that the selector means, and that is heard, for a newer key."""
    meant = selectors.parse(body.to)
    names = [
        found.id
        for found in await context.look(queries.devices)
        if found.revoked_ms is None and found.frozen_ms is None and meant(found)
    ]
    if not names:
        raise NotFoundError(f"no device is meant by {body.to!r}; see: littoral fleet devices")
    await _rotate(names, context, who)
    return Rotating(devices=names)


async def _rotate(names: list[str], context: Asked, who: Administrator) -> None:
    now_ms = context.clock()
    await context.write(partial(identities.rotate, devices=names, who=who.name, now_ms=now_ms))
    context.bus.announce(names)
