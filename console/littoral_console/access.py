"""Who asks, on the people's listener: an API token in a header, or a session in a cookie.

A browser sends a cookie by itself, so what a session changes must also carry the session's
CSRF token and come from our own pages. FastAPI's dependencies ``Asked``, ``Someone`` and
``Administrator`` are for REST and pages alike.
"""

import hmac
from functools import partial
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from littoral.errors import DeniedError
from littoral_console import accounts
from littoral_console.accounts import Person
from littoral_console.answers import UnknownPersonError
from littoral_console.context import Context

COOKIE: Final = "littoral_session"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def context_of(request: Request) -> Context:
    """Return what ``app.people_app`` was made with."""
    found = request.app.state.context
    if not isinstance(found, Context):
        raise TypeError("the app was made without a context")
    return found


Asked = Annotated[Context, Depends(context_of)]


async def visitor(request: Request, context: Asked) -> Person | None:
    """Return who asks, None when nobody is logged in. For pages that anyone may see."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    now_ms = context.clock()
    if kind.lower() == "bearer":
        return await _bearer(context, token.strip(), now_ms=now_ms)
    secret = request.cookies.get(COOKIE)
    if secret is None:
        return None
    return await context.look(partial(accounts.by_session, secret=secret, now_ms=now_ms))


async def _bearer(context: Context, token: str, *, now_ms: int) -> Person | None:
    found = await context.look(partial(accounts.by_token, token=token, now_ms=now_ms))
    if found is None:
        return None
    who, used_ms = found
    if used_ms is None or now_ms - used_ms >= accounts.USE_MS:
        await context.write(partial(accounts.used, token=token, now_ms=now_ms))
    return who


async def person(request: Request, who: Annotated[Person | None, Depends(visitor)]) -> Person:
    """Return who asks.

    Raises:
        UnknownPersonError: Nobody is logged in.
        DeniedError: A session changes something without its CSRF token.

    """
    if who is None:
        raise UnknownPersonError("log in first, or send an API token as bearer")
    if who.csrf is not None and request.method not in _SAFE:
        check_origin(request)
        check_csrf(who, request.headers.get(CSRF_HEADER, ""))
    return who


Someone = Annotated[Person, Depends(person)]


async def administrator(who: Someone) -> Person:
    """Return who asks, if that person may change things. Raises DeniedError."""
    check_administrator(who)
    return who


Administrator = Annotated[Person, Depends(administrator)]


def check_administrator(who: Person) -> None:
    """Raise DeniedError if a viewer would change something."""
    if who.role != accounts.ADMINISTRATOR:
        raise DeniedError(f"{who.name} may look, and change nothing")


def check_csrf(who: Person, token: str) -> None:
    """Raise DeniedError unless ``token`` is the one that this session's pages carry."""
    if not hmac.compare_digest((who.csrf or "").encode(), token.encode()):
        raise DeniedError("the page is from an earlier session; load it again")


def check_origin(request: Request) -> None:
    """Raise DeniedError if a page of another site asks."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise DeniedError(f"a page of {origin[:200]} may not ask this console")


def set_cookie(response: Response, secret: str, *, context: Context) -> None:
    """Give the browser its session."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=accounts.SESSION_MS // 1000,
        httponly=True,
        samesite="strict",
        secure=context.secure,
    )


def client(request: Request) -> str:
    """Return where a request comes from; what proxies say about it identifies nobody."""
    return request.client.host if request.client else "?"
