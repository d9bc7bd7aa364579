"""What devices that reach no console left on a medium for it, brought by a person."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy import Connection

from littoral.wire.receipt import SignedReceipt
from littoral_console import audit, identities, receipts
from littoral_console.access import Administrator, Asked
from littoral_console.answers import body
from littoral_console.receipts import Brought

router = APIRouter(tags=["devices"])


class Taken(BaseModel):
    """What a receipt said, and how much of it was not known here."""

    device: str
    said_ms: int  # by the device's clock
    reports: int  # in it
    new: int  # of these, not stored before
    left: int  # reports that did not fit; the device keeps them
    newer: bool  # no later status of the device was known


@router.post("/devices/{name}/receipt", status_code=201)
async def receive(name: str, request: Request, context: Asked, who: Administrator) -> Taken:
    """Take what the device says in its receipt, each thing once; a replay changes nothing."""
    data = await body(request, limit=SignedReceipt.MOST_BYTES)
    brought = await asyncio.to_thread(
        receipts.read,
        data,
        device=name,
        fleet=context.repository.anchors.fleet,
        root=context.keys.device_ca_root,
        now=datetime.fromtimestamp(context.clock() / 1000, UTC),
    )
    identity = brought.identity
    await context.look(
        partial(
            identities.check,
            device=identity.device,
            incarnation=identity.incarnation,
            certificate=identity.certificate.serial_number,
        )
    )
    effects = await context.intake.take(brought.heard)
    taken = Taken(
        device=name,
        said_ms=brought.receipt.status.time_ms,
        reports=len(brought.receipt.reports),
        new=effects.stored,
        left=brought.receipt.left,
        newer=effects.newer,
    )
    job = partial(_note, brought=brought, taken=taken, who=who.name, now_ms=context.clock())
    await context.write(job)
    return taken


def _note(connection: Connection, *, brought: Brought, taken: Taken, who: str, now_ms: int) -> None:
    detail = {"receipt": brought.receipt.status.receipts, "new": taken.new}
    audit.record(
        connection,
        "device.receipt",
        who=who,
        subject=brought.identity.device,
        now_ms=now_ms,
        detail=detail,
    )
