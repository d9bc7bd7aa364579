"""The ways in and out: signing in, setting the console up, signing out."""

import re
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Form, Response

from littoral.errors import DeniedError, LittoralError, MisuseError
from littoral_console import accounts
from littoral_console.access import COOKIE, check_origin, client, set_cookie
from littoral_console.accounts import Person
from littoral_console.pages.frame import Acting, Anyone, PageRoute, Visit, described, see
from littoral_console.rest import people

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_OURS: Final = re.compile(r"/(?![/\\])[^\\\s]*")  # a path, and never another site's

Name = Annotated[str, Form(min_length=1, max_length=64)]
Password = Annotated[str, Form(min_length=1, max_length=1024)]
Next = Annotated[str, Form(max_length=2048)]


@router.get("/login")
async def login(visit: Anyone, next: str = "/") -> Response:  # noqa: A002 (the query's name)
    if visit.person is not None:
        return see("/")
    return await _login(visit, onward=next)


@router.post("/login")
async def enter(
    visit: Anyone,
    username: Name,
    password: Password,
    next: Next = "/",  # noqa: A002 (the form's name)
) -> Response:
    check_origin(visit.request)
    try:
        person = await people.authenticate(
            visit.context, client(visit.request), username=username, password=password
        )
    except DeniedError as e:
        return await _login(visit, onward=next, username=username, problem=e)
    return await _welcome(visit, person, onward=next)


@router.get("/setup")
async def setup(visit: Anyone, code: str = "") -> Response:
    if await visit.context.look(accounts.any_user):
        return see("/login")
    return visit.show("setup.html", code=code, username="", problem="")


@router.post("/setup")
async def set_up(
    visit: Anyone,
    code: Annotated[str, Form(max_length=128)],
    username: Name,
    password: Password,
) -> Response:
    check_origin(visit.request)
    asked = people.Setup(code=code.strip(), username=username, password=password)
    try:
        person = await people.first_login(visit.context, client(visit.request), asked)
    except (DeniedError, MisuseError) as e:
        status, _, words = described(e)
        return visit.show("setup.html", status=status, code=code, username=username, problem=words)
    return await _welcome(visit, person, onward="/")


@router.post("/logout")
async def leave(visit: Acting) -> Response:
    secret = visit.request.cookies.get(COOKIE, "")
    await visit.context.write(partial(accounts.close_session, secret=secret))
    response = see("/login")
    response.delete_cookie(COOKIE)
    return response


async def _login(
    visit: Visit, *, onward: str, username: str = "", problem: LittoralError | None = None
) -> Response:
    status, _, words = described(problem) if problem else (200, "", "")
    return visit.show(
        "login.html",
        status=status,
        next=onward,
        username=username,
        problem=words,
        unused=not await visit.context.look(accounts.any_user),
    )


async def _welcome(visit: Visit, person: Person, *, onward: str) -> Response:
    secret, _ = await visit.context.write(
        partial(accounts.open_session, person=person, now_ms=visit.now_ms)
    )
    response = see(onward if _OURS.fullmatch(onward) else "/")
    set_cookie(response, secret, context=visit.context)
    return response
