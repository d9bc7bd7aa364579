"""What devices that reach no console shall run, in documents that a stick carries to them."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from littoral.errors import NotFoundError
from littoral_console import audit, queries, selectors
from littoral_console import director as documents
from littoral_console.access import Administrator, Asked
from littoral_console.director import Director
from littoral_console.repository import ImageRepository

router = APIRouter(tags=["releases"])


class Export(BaseModel):
    """Which devices' documents, and for how long each holds."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(max_length=1024)] = "all"
    days: Annotated[int, Field(ge=1, le=3650)] = 90


class Carried(BaseModel):
    device: str
    version: int
    document: str  # as it is signed, JSON


class Exported(BaseModel):
    documents: list[Carried]


@router.post("/exports", status_code=201)
async def export(body: Export, context: Asked, who: Administrator) -> Exported:
    """Sign anew, for longer, what each device shall run of which anything was ever wanted.

    The repository's snapshot and timestamp are signed anew too: those on the medium may be of this
    hour, and who comes back from it would take yesterday's for a rollback.
    """
    meant = selectors.parse(body.to)
    names = [
        found.id
        for found in await context.look(queries.devices)
        if found.revoked_ms is None and found.frozen_ms is None and meant(found)
    ]
    signed = await context.write(
        partial(
            _sign,
            names=names,
            director=context.director,
            life=timedelta(days=body.days),
            who=who.name,
            now_ms=context.clock(),
        )
    )
    if not signed:
        raise NotFoundError(
            f"nothing was ever wanted of whom {body.to!r} means; push a release there first"
        )
    await asyncio.to_thread(_pass, context.repository)
    context.bus.announce([one.device for one in signed])
    return Exported(documents=signed)


def _pass(repository: ImageRepository) -> None:
    """Sign above a medium of this second: that is at one above what was signed before."""
    repository.renew()
    repository.renew()


def _sign(
    connection: Connection,
    *,
    names: list[str],
    director: Director,
    life: timedelta,
    who: str,
    now_ms: int,
) -> list[Carried]:
    signed = []
    for name in names:
        if documents.document(connection, name) is None:
            continue
        director.issue(connection, name, now_ms=now_ms, life=life)
        if (issued := documents.document(connection, name)) is not None:
            text = issued.data.decode()
            signed.append(Carried(device=name, version=issued.version, document=text))
    if signed:
        audit.record(
            connection,
            "director.export",
            who=who,
            subject=", ".join(one.device for one in signed)[:200],
            now_ms=now_ms,
            detail={"devices": len(signed), "days": life.days},
        )
    return signed
