"""The tokens that admit devices."""

from functools import partial
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from littoral.wire.enrolment import Token
from littoral_console import enrolment, queries
from littoral_console.access import Administrator, Asked, Someone
from littoral_console.rest.devices import Labels

router = APIRouter(tags=["enrolment"])

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
