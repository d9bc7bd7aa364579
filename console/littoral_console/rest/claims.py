"""Boards that wait for an operator, and the operator's word."""

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path

from littoral_console import claims, queries
from littoral_console.access import Administrator, Asked, Someone
from littoral_console.accounts import Person
from littoral_console.context import Context

router = APIRouter(prefix="/claims", tags=["enrolment"])

Number = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("")
async def every(
    context: Asked,
    _who: Someone,
    state: Literal["waiting", "approved", "enrolled", "refused", "all"] = "waiting",
) -> list[queries.Claim]:
    """Return the claims in a state, newest first."""
    wanted = None if state == "all" else state
    return list(await context.look(partial(queries.claims_made, state=wanted)))


@router.post("/{number}/approve")
async def approve(number: Number, context: Asked, who: Administrator) -> queries.Claim:
    """Let the board become a device, when it asks next."""
    return await _decide(context, number, claims.Event.APPROVE, who=who)


@router.post("/{number}/refuse")
async def refuse(number: Number, context: Asked, who: Administrator) -> queries.Claim:
    """Turn the board away; its token admits nobody any more."""
    return await _decide(context, number, claims.Event.REFUSE, who=who)


async def _decide(
    context: Context, number: int, event: claims.Event, *, who: Person
) -> queries.Claim:
    await context.write(
        partial(claims.decide, number=number, event=event, who=who.name, now_ms=context.clock())
    )
    return (await context.look(partial(queries.claims_made, only=number)))[0]
