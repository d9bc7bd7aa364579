"""Boards that wait for an operator: what to compare, and two buttons."""

from typing import Final

from fastapi import APIRouter, Response

from littoral_console import claims, queries
from littoral_console.pages.frame import Administering, Entered, PageRoute, see
from littoral_console.rest import claims as rest

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_DECIDED: Final = 20
_EVERY_S: Final = 3  # somebody stands before a board and waits


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
async def approve(visit: Administering, number: rest.Number) -> Response:
    await rest.approve(number, visit.context, visit.who)
    return see("/claims")


@router.post("/claims/{number}/refuse")
async def refuse(visit: Administering, number: rest.Number) -> Response:
    await rest.refuse(number, visit.context, visit.who)
    return see("/claims")
