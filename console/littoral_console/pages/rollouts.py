"""What was asked for, and what became of it on each device."""

from fastapi import APIRouter, Response

from littoral.errors import NotFoundError
from littoral_console import queries
from littoral_console.pages.frame import Entered, PageRoute
from littoral_console.phases import waiting

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/rollouts")
def rollouts(visit: Entered) -> Response:
    with visit.context.database.reading() as connection:
        found = queries.rollouts(connection)
    return visit.show("rollouts.html", section="/rollouts", found=found)


@router.get("/rollouts/{number}")
def rollout(visit: Entered, number: int) -> Response:
    with visit.context.database.reading() as connection:
        found = queries.rollout(connection, number)
    if found is None:
        raise NotFoundError(f"there is no rollout {number}")
    return visit.show(
        "rollout.html",
        section="/rollouts",
        r=found.rollout,
        found=found.devices,
        waiting=waiting(found.devices, now_ms=visit.now_ms),
        every=2,
    )
