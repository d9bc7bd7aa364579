"""Tokens by which devices are admitted: made, shown once, listed, revoked."""

import shlex
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Response

from littoral.errors import MisuseError
from littoral_console import queries
from littoral_console.pages.frame import Administering, Entered, PageRoute, Visit, see
from littoral_console.rest import tokens as rest

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    command: str
    credential: str  # the same as a file
    approve: bool
    expires_ms: int


@router.get("/tokens")
def show(visit: Entered) -> Response:
    return _show(visit, made=None)


@router.post("/tokens")
async def make(
    visit: Administering,
    *,
    device: Annotated[str, Form(max_length=64)] = "",
    serial: Annotated[str, Form(max_length=128)] = "",
    labels: Annotated[str, Form(max_length=1024)] = "",
    approve: Annotated[bool, Form()] = False,
    hours: Annotated[int, Form(ge=1, le=8760)] = 24,
) -> Response:
    asked = rest.NewEnrolmentToken(
        device=device.strip() or None,
        serial=serial.strip() or None,
        labels=spoken(labels),
        approve=approve,
        lives_s=hours * _HOUR_S,
    )
    issued = await rest.new_token(asked, visit.context, visit.who)
    command = f"littoral enroll {shlex.quote(issued.url)} --token {issued.token}"
    made = Made(
        command=command,
        credential=issued.credential,
        approve=approve,
        expires_ms=issued.expires_ms,
    )
    return _show(visit, made=made)


@router.post("/tokens/{number}/revoke")
async def revoke(visit: Administering, number: rest.Number) -> Response:
    await rest.revoke_token(number, visit.context, visit.who)
    return see("/tokens")


def spoken(labels: str) -> dict[str, str]:
    """Return labels as ``site=berlin line=3`` says them. Raises MisuseError."""
    pairs = [word.partition("=") for word in labels.replace(",", " ").split()]
    for name, equals, _ in pairs:
        if not equals:
            raise MisuseError(f"labels: expected words as site=berlin, found {name!r}")
    return {name: value for name, _, value in pairs}


def _show(visit: Visit, *, made: Made | None) -> Response:
    with visit.context.database.reading() as connection:
        found = queries.enrolment_tokens(connection)
    return visit.show("tokens.html", section="/tokens", tokens=found, made=made)
