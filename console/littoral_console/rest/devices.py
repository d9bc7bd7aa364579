"""Devices and the tokens that admit them."""

from functools import partial
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, update

from littoral.errors import NotFoundError
from littoral.wire.enrolment import Token
from littoral_console import audit, enrolment, queries, selectors
from littoral_console import tables as t
from littoral_console.access import Administrator, Asked, Someone

router = APIRouter(tags=["devices"])

Labels = Annotated[dict[str, str], Field(max_length=32)]
MOST_LIFE_S = 365 * 24 * 3600


class NewEnrolmentToken(BaseModel):
    """Who may use it: any board, or one of a name or a serial number."""

    model_config = ConfigDict(extra="forbid")

    device: str | None = None
    serial: Annotated[str | None, Field(max_length=128)] = None
    labels: Labels = {}
    lives_s: Annotated[int, Field(gt=0, le=MOST_LIFE_S)] = 24 * 3600


class IssuedToken(BaseModel):
    token: str
    expires_ms: int


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


@router.get("/enrolment-tokens")
async def tokens(context: Asked, _who: Someone) -> list[queries.EnrolmentToken]:
    return list(await context.look(queries.enrolment_tokens))


@router.post("/enrolment-tokens", status_code=201)
async def new_token(body: NewEnrolmentToken, context: Asked, who: Administrator) -> IssuedToken:
    """Return a token that admits one device, once; it is shown this once."""
    fleet = context.repository.anchors.fleet
    root = context.repository.root_bytes()
    now_ms = context.clock()
    secret = await context.write(
        partial(
            enrolment.new_token,
            who=who.name,
            now_ms=now_ms,
            lives_ms=body.lives_s * 1000,
            device=body.device,
            serial=body.serial,
            labels=body.labels,
        )
    )
    token = Token(
        secret=secret,
        fleet=fleet,
        root_sha256=sha256(root).hexdigest(),
        console_ca_sha256=context.tls.ca_sha256,
    )
    return IssuedToken(token=token.encode(), expires_ms=now_ms + body.lives_s * 1000)


def _must_exist(connection: Connection, name: str) -> None:
    if not queries.devices(connection, only=name):
        raise NotFoundError(f"no device {name[:64]!r}")
