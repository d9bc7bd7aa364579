"""Users, their passwords and their API tokens."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field

from littoral.errors import DeniedError, MisuseError
from littoral_console import accounts, people, queries
from littoral_console.access import COOKIE, Administrator, Asked, Someone
from littoral_console.accounts import ADMINISTRATOR, Person, Role
from littoral_console.context import Context
from littoral_console.rest.people import Body, Me, Name, Password, Token, issue

router = APIRouter(tags=["people"])

Number = Annotated[int, Path(ge=1, lt=2**31)]
MOST_LIFE_S = 10 * 365 * 24 * 3600


class NewUser(Body):
    username: Name
    password: Password
    role: Role = "viewer"


class NewPassword(Body):
    password: Password


class OwnPassword(Body):
    current: Password
    password: Password


class NewToken(Body):
    name: Name
    lives_s: Annotated[int | None, Field(gt=0, le=MOST_LIFE_S)] = None


@router.get("/users")
async def users(context: Asked, _who: Administrator) -> list[queries.User]:
    return list(await context.look(partial(queries.users, now_ms=context.clock())))


@router.post("/users", status_code=201)
async def new_user(body: NewUser, context: Asked, who: Administrator) -> Me:
    """Make another user."""
    password_hash = await asyncio.to_thread(accounts.hash_password, body.password)
    made = await context.write(
        partial(
            accounts.new_user,
            name=body.username,
            password_hash=password_hash,
            role=body.role,
            who=who.name,
            now_ms=context.clock(),
        )
    )
    return Me(username=made.name, role=made.role)


@router.post("/users/{name:path}/password", status_code=204)
async def set_password(name: str, body: NewPassword, context: Asked, who: Administrator) -> None:
    """Give another user a new password; that user's sessions end, API tokens go on."""
    if name == who.name:
        raise MisuseError("your own password is changed with the one that you have now")
    password_hash = await asyncio.to_thread(accounts.hash_password, body.password)
    await context.write(
        partial(
            people.change_password,
            name=name,
            password_hash=password_hash,
            who=who.name,
            now_ms=context.clock(),
        )
    )


@router.post("/users/{name:path}/disable", status_code=204)
async def disable(name: str, context: Asked, who: Administrator) -> None:
    """Let a user do nothing any more, by no login, session or API token."""
    now_ms = context.clock()
    await context.write(partial(people.disable, name=name, who=who.name, now_ms=now_ms))


@router.post("/users/{name:path}/enable", status_code=204)
async def enable(name: str, context: Asked, who: Administrator) -> None:
    """Let a disabled user in again."""
    now_ms = context.clock()
    await context.write(partial(people.enable, name=name, who=who.name, now_ms=now_ms))


@router.post("/me/password", status_code=204)
async def own_password(body: OwnPassword, request: Request, context: Asked, who: Someone) -> None:
    """Change one's own password; one's other sessions end, API tokens go on."""
    keep = request.cookies.get(COOKIE)
    await change_own(context, who, current=body.current, password=body.password, keep=keep)


@router.get("/api-tokens")
async def api_tokens(context: Asked, who: Someone) -> list[queries.ApiToken]:
    """Return one's own API tokens, or as an administrator everybody's; no secrets."""
    of = None if who.role == ADMINISTRATOR else who.id
    return list(await context.look(partial(queries.api_tokens, of=of)))


@router.post("/api-tokens", status_code=201)
async def new_token(body: NewToken, context: Asked, who: Someone) -> Token:
    """Return another API token of the one who asks; it is shown this once."""
    lives_ms = None if body.lives_s is None else body.lives_s * 1000
    return await issue(context, who, name=body.name, lives_ms=lives_ms)


@router.post("/api-tokens/mine/revoke")
async def forget_token(request: Request, context: Asked, who: Someone) -> queries.ApiToken:
    """Make the API token that this request carries worthless."""
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    number = await context.look(partial(accounts.token_number, token=token))
    if number is None:
        raise MisuseError("this request carries no API token; name one by its number")
    return await revoke_token(number, context, who)


@router.post("/api-tokens/{number}/revoke")
async def revoke_token(number: Number, context: Asked, who: Someone) -> queries.ApiToken:
    """Make an API token worthless: one's own, or as an administrator anybody's."""
    now_ms = context.clock()
    await context.write(partial(people.revoke_token, number=number, who=who, now_ms=now_ms))
    found = await context.look(partial(queries.api_tokens, of=None))
    return next(token for token in found if token.id == number)


async def change_own(
    context: Context, who: Person, *, current: str, password: str, keep: str | None
) -> None:
    """Change the password of ``who``, whose session ``keep`` goes on.

    Raises:
        DeniedError: ``current`` is another password.
        TooManyError: It was so too often.
        MisuseError: The new one is too short.

    """
    key = f"user {who.name}"
    context.failures.check(key)
    found = await context.look(partial(accounts.user, name=who.name))
    kept = None if found is None else found[1]
    if not await asyncio.to_thread(accounts.check_password, kept, current):
        context.failures.count(key)
        raise DeniedError("this is not the password that you have now")
    password_hash = await asyncio.to_thread(accounts.hash_password, password)
    await context.write(
        partial(
            people.change_password,
            name=who.name,
            password_hash=password_hash,
            who=who.name,
            now_ms=context.clock(),
            keep=keep,
        )
    )
