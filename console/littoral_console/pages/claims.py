"""Boards that wait for an operator: what to compare, and two buttons."""

from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from littoral_console import claims, queries
from littoral_console.pages.frame import Administering, Entered, PageRoute, Visit, see

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_DECIDED: Final = 20
_EVERY_S: Final = 3  # somebody stands before a board and waits

Number = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("/claims")
def show(visit: Entered) -> Response:
    with visit.context.database.reading() as connection:
        found = queries.claims_made(connection)
    open_ = [one for one in found if claims.State(one.state) in claims.OPEN]
    decided = [one for one in found if claims.State(one.state) not in claims.OPEN]
    return visit.show(
        "claims.html",
        section="/devices",
        every=_EVERY_S,
        waiting=open_,
        decided=decided[:_DECIDED],
    )


@router.post("/claims/{number}/approve")
async def approve(visit: Administering, number: Number) -> Response:
    return await _decide(visit, number, claims.Event.APPROVE)


@router.post("/claims/{number}/refuse")
async def refuse(visit: Administering, number: Number) -> Response:
    return await _decide(visit, number, claims.Event.REFUSE)


async def _decide(visit: Visit, number: int, event: claims.Event) -> Response:
    await visit.context.write(
        partial(claims.decide, number=number, event=event, who=visit.name, now_ms=visit.now_ms)
    )
    return see("/claims")
