"""Releases: sending them, looking at them, asking devices for them."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from littoral.bundle.costs import Cost
from littoral.errors import NotFoundError
from littoral_console import catalogue, queries, rollouts, uploads
from littoral_console.access import Administrator, Asked, Someone
from littoral_console.rollouts import Order

router = APIRouter(tags=["releases"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Offer(_Body):
    name: Annotated[str, Field(max_length=256)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class Offers(_Body):
    """The files of a publisher's repository, by their names in it."""

    files: Annotated[list[Offer], Field(max_length=uploads.MOST_FILES)]


class Begun(BaseModel):
    id: str
    missing: list[str]


class Push(_Body):
    model: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    release: Annotated[int, Field(ge=1, lt=2**53)]
    to: Annotated[str, Field(max_length=1024)] = "all"
    force: bool = False


@router.get("/releases")
async def releases(
    context: Asked, _who: Someone, model: str | None = None
) -> list[queries.Release]:
    return list(await context.look(partial(queries.releases, model=model)))


@router.get("/releases/{model}/{number}")
async def release(model: str, number: int, context: Asked, _who: Someone) -> queries.Release:
    found = await context.look(partial(queries.release, model=model, number=number))
    if found is None:
        raise NotFoundError(f"no release {model[:64]}:{number}")
    return found


@router.get("/releases/{model}/{number}/costs")
async def costs(model: str, number: int, context: Asked, who: Someone) -> list[Cost]:
    """Return what the release costs a device: in bytes, by variant and by what the device has."""
    await release(model, number, context, who)
    return list(await context.look(partial(queries.costs, model=model, number=number)))


@router.get("/releases/{model}/{number}/files/{name}", response_class=FileResponse)
async def file(model: str, number: int, name: str, context: Asked, who: Someone) -> FileResponse:
    """Return one file of the release, as it lies on a device."""
    found = await release(model, number, context, who)
    wanted = next((one for one in found.files if one.name == name), None)
    path = None if wanted is None else context.repository.served(f"blobs/{wanted.sha256}")
    if path is None:
        raise NotFoundError(f"no file {name[:64]!r} in {model}:{number}")
    return FileResponse(
        path,
        filename=name,
        media_type="application/octet-stream",
        headers={"Content-Security-Policy": "sandbox"},
    )


@router.post("/uploads", status_code=201)
async def begin(body: Offers, context: Asked, who: Administrator) -> Begun:
    """Say what a publisher has; the answer says what of it is missing here."""
    offers = [uploads.Offer(name=f.name, sha256=f.sha256, size=f.size) for f in body.files]
    upload = await run_in_threadpool(context.repository.begin, offers, who=who.name)
    return Begun(id=upload.id, missing=list(upload.missing))


@router.put("/uploads/{number}/files/{name:path}", status_code=204)
async def receive(
    number: str, name: str, request: Request, context: Asked, _who: Administrator
) -> None:
    """Send one of the missing files; its body is the file."""
    await uploads.receive(context.repository.upload(number), name, request.stream())


@router.post("/uploads/{number}/commit")
async def commit(number: str, context: Asked, who: Administrator) -> list[queries.Release]:
    """Adopt what was sent, if all of it is believed; return the releases that are new."""
    known = await context.look(catalogue.known)
    admitted = await run_in_threadpool(context.repository.commit, number, known=known)
    return list(
        await context.write(
            partial(catalogue.record, admitted=admitted, who=who.name, now_ms=context.clock())
        )
    )


@router.delete("/uploads/{number}", status_code=204)
async def discard(number: str, context: Asked, _who: Administrator) -> None:
    await run_in_threadpool(context.repository.discard, number)


@router.post("/rollouts", status_code=201)
async def push(body: Push, context: Asked, who: Administrator) -> queries.RolloutDetail:
    """Ask the devices that the selector means for a release."""
    order = Order(model=body.model, release=body.release, to=body.to, force=body.force)
    pushed = await context.write(
        partial(
            rollouts.push,
            order=order,
            director=context.director,
            who=who.name,
            now_ms=context.clock(),
        )
    )
    context.bus.announce(pushed.asked)
    return await rollout(pushed.rollout, context, who)


@router.get("/rollouts")
async def all_rollouts(
    context: Asked, _who: Someone, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[queries.Rollout]:
    return list(await context.look(partial(queries.rollouts, limit=limit)))


@router.get("/rollouts/{number}")
async def rollout(number: int, context: Asked, _who: Someone) -> queries.RolloutDetail:
    found = await context.look(partial(queries.rollout, number=number))
    if found is None:
        raise NotFoundError(f"no rollout {number}")
    return found
