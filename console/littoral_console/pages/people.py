"""Who may use the console: users, passwords, API tokens. Everybody finds what is his own here."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Response

from littoral_console import queries
from littoral_console.access import COOKIE
from littoral_console.accounts import ADMINISTRATOR, Role
from littoral_console.pages.frame import Acting, Administering, Entered, PageRoute, Visit, see
from littoral_console.rest import users as rest

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_HERE = "/people"
_DAY_S = 24 * 3600

Name = Annotated[str, Form(min_length=1, max_length=64)]
Password = Annotated[str, Form(min_length=1, max_length=1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An API token that was made just now; its secret is shown this once."""

    name: str
    token: str


@router.get("/people")
def people(visit: Entered) -> Response:
    return _show(visit)


@router.post("/people")
async def add(
    visit: Administering, username: Name, password: Password, role: Annotated[Role, Form()]
) -> Response:
    asked = rest.NewUser(username=username, password=password, role=role)
    await rest.new_user(asked, visit.context, visit.who)
    return see(_HERE)


@router.post("/people/password")
async def set_password(visit: Administering, username: Name, password: Password) -> Response:
    asked = rest.NewPassword(password=password)
    await rest.set_password(username, asked, visit.context, visit.who)
    return _show(visit, done=f"{username} has another password, and is signed out everywhere.")


@router.post("/people/access")
async def change_access(
    visit: Administering, username: Name, deed: Annotated[Literal["disable", "enable"], Form()]
) -> Response:
    change = rest.disable if deed == "disable" else rest.enable
    await change(username, visit.context, visit.who)
    return see(_HERE)


@router.post("/people/me/password")
async def own_password(visit: Acting, current: Password, password: Password) -> Response:
    keep = visit.request.cookies.get(COOKIE)
    await rest.change_own(visit.context, visit.who, current=current, password=password, keep=keep)
    return _show(visit, done="You have another password. Elsewhere you are signed out.")


@router.post("/people/me/tokens")
async def new_token(
    visit: Acting, name: Name, days: Annotated[int, Form(ge=0, le=3650)] = 0
) -> Response:
    asked = rest.NewToken(name=name, lives_s=days * _DAY_S or None)
    issued = await rest.new_token(asked, visit.context, visit.who)
    return _show(visit, made=Made(name=name, token=issued.token))


@router.post("/people/tokens/{number}/revoke")
async def revoke_token(visit: Acting, number: rest.Number) -> Response:
    await rest.revoke_token(number, visit.context, visit.who)
    return see(_HERE)


def _show(visit: Visit, *, made: Made | None = None, done: str = "") -> Response:
    rules = visit.who.role == ADMINISTRATOR
    with visit.context.database.reading() as connection:
        users = queries.users(connection, now_ms=visit.now_ms) if rules else ()
        tokens = queries.api_tokens(connection, of=None if rules else visit.who.id)
    return visit.show(
        "people.html", section=_HERE, users=users, tokens=tokens, made=made, done=done
    )
