"""The tokens that admit devices."""

import json
from functools import partial
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from littoral.wire.enrolment import Token
from littoral_console import queries, tokens
from littoral_console.access import Administrator, Asked, Someone
from littoral_console.rest.devices import Labels

router = APIRouter(tags=["enrolment"])

Number = Annotated[int, Path(ge=1, lt=2**31)]
MOST_LIFE_S = 365 * 24 * 3600


class NewEnrolmentToken(BaseModel):
    """Who may use it: any board, or one of a name or a serial number, at once or if approved."""

    model_config = ConfigDict(extra="forbid")

    device: str | None = None
    serial: Annotated[str | None, Field(max_length=128)] = None
    labels: Labels = {}
    approve: bool = False
    lives_s: Annotated[int, Field(gt=0, le=MOST_LIFE_S)] = 24 * 3600


class IssuedToken(BaseModel):
    id: int
    token: str
    url: str  # where a device finds this console
    credential: str  # url, token and name as the file by which an agent enrols its board
    expires_ms: int


@router.get("/enrolment-tokens")
async def every(context: Asked, _who: Someone) -> list[queries.EnrolmentToken]:
    return list(await context.look(queries.enrolment_tokens))


@router.post("/enrolment-tokens", status_code=201)
async def new_token(body: NewEnrolmentToken, context: Asked, who: Administrator) -> IssuedToken:
    """Return a token that admits one device, once; it is shown this once."""
    fleet = context.repository.anchors.fleet
    root = context.repository.root_bytes()
    now_ms = context.clock()
    made = await context.write(
        partial(
            tokens.new_token,
            who=who.name,
            now_ms=now_ms,
            lives_ms=body.lives_s * 1000,
            device=body.device,
            serial=body.serial,
            labels=body.labels,
            approve=body.approve,
        )
    )
    token = Token(
        secret=made.secret,
        fleet=fleet,
        root_sha256=sha256(root).hexdigest(),
        console_ca_sha256=context.tls.ca_sha256,
    )
    url, word = context.devices_url(), token.encode()
    return IssuedToken(
        id=made.number,
        token=word,
        url=url,
        credential=_credential(url=url, token=word, name=body.device),
        expires_ms=now_ms + body.lives_s * 1000,
    )


@router.post("/enrolment-tokens/{number}/revoke")
async def revoke_token(
    number: Number, context: Asked, who: Administrator
) -> queries.EnrolmentToken:
    """Make a token worthless, and the claim by it; who was admitted by it stays a device."""
    await context.write(
        partial(tokens.revoke_token, number=number, who=who.name, now_ms=context.clock())
    )
    found = await context.look(queries.enrolment_tokens)
    return next(token for token in found if token.id == number)


def _credential(**said: str | None) -> str:
    """Return a file of TOML, in which a string may be written as JSON writes it."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items() if value)
