"""Logging in: the first time with the console's one-time code, then with a password."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from littoral.errors import DeniedError
from littoral_console import accounts
from littoral_console.access import (
    COOKIE,
    Asked,
    Someone,
    check_origin,
    client,
    set_cookie,
)
from littoral_console.accounts import Person
from littoral_console.answers import UnknownPersonError
from littoral_console.context import Context

router = APIRouter(tags=["people"])

Name = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=1, max_length=1024)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Setup(Body):
    code: Annotated[str, Field(max_length=128)]
    username: Name
    password: Password


class Login(Body):
    username: Name
    password: Password
    purpose: Name = "command line"  # the token's name


class Token(BaseModel):
    token: str
    username: str


class Opened(BaseModel):
    username: str
    role: str
    csrf: str


class Me(BaseModel):
    username: str
    role: str


@router.post("/setup")
async def setup(body: Setup, request: Request, context: Asked) -> Token:
    """Make the first administrator, by the code that the console printed at its start."""
    check_origin(request)
    person = await first_login(context, client(request), body)
    return await issue(context, person, name="first login")


@router.post("/login")
async def login(body: Login, request: Request, context: Asked) -> Token:
    """Return an API token for a user and a password."""
    check_origin(request)
    person = await authenticate(
        context, client(request), username=body.username, password=body.password
    )
    return await issue(context, person, name=body.purpose)


@router.post("/session")
async def open_session(body: Login, request: Request, response: Response, context: Asked) -> Opened:
    """Open a session in a cookie; what it changes must carry the returned CSRF token."""
    check_origin(request)
    person = await authenticate(
        context, client(request), username=body.username, password=body.password
    )
    secret, csrf = await context.write(
        partial(accounts.open_session, person=person, now_ms=context.clock())
    )
    set_cookie(response, secret, context=context)
    return Opened(username=person.name, role=person.role, csrf=csrf)


@router.delete("/session", status_code=204)
async def close_session(
    request: Request, response: Response, context: Asked, _who: Someone
) -> None:
    """Log out."""
    secret = request.cookies.get(COOKIE, "")
    await context.write(partial(accounts.close_session, secret=secret))
    response.delete_cookie(COOKIE)


@router.get("/me")
async def me(who: Someone) -> Me:
    return Me(username=who.name, role=who.role)


async def authenticate(context: Context, who: str, *, username: str, password: str) -> Person:
    """Return the user of that password; ``who`` asks, and may be wrong a few times.

    Raises:
        UnknownPersonError: There is no such user, or it is another password.
        TooManyError: It was so too often.

    """
    keys = (who, f"user {username}")
    for key in keys:
        context.failures.check(key)
    found = await context.look(partial(accounts.user, name=username))
    kept = None if found is None else found[1]
    right = await asyncio.to_thread(accounts.check_password, kept, password)
    if found is None or not right:
        for key in keys:
            context.failures.count(key)
        raise UnknownPersonError("no such user, or another password")
    return found[0]


async def first_login(context: Context, who: str, asked: Setup) -> Person:
    """Make the first administrator. Raises DeniedError, TooManyError, MisuseError."""
    context.failures.check(who)
    try:
        await context.look(partial(accounts.check_setup_code, code=asked.code))
        password_hash = await asyncio.to_thread(accounts.hash_password, asked.password)
        person = await context.write(
            partial(
                accounts.first_user,
                code=asked.code,
                name=asked.username,
                password_hash=password_hash,
                now_ms=context.clock(),
            )
        )
    except DeniedError:
        context.failures.count(who)
        raise
    await asyncio.to_thread(context.set_up)
    return person


async def issue(
    context: Context, person: Person, *, name: str, lives_ms: int | None = None
) -> Token:
    """Return a new API token of ``person``."""
    now_ms = context.clock()
    token = await context.write(
        partial(
            accounts.new_token,
            person=person,
            name=name,
            now_ms=now_ms,
            expires_ms=None if lives_ms is None else now_ms + lives_ms,
        )
    )
    return Token(token=token, username=person.name)
