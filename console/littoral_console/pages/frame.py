"""What every page stands in: who visits, the templates, the headers, how an error looks.

It knows people and HTTP; what a page says is the page's. Nothing of a page is inline script
or style, so that the policy can forbid both, and every text is escaped.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from littoral import waits
from littoral.errors import LittoralError, MisuseError, NotFoundError, TrustError
from littoral.sizes import progress, size
from littoral_console import answers, figures, queries
from littoral_console.access import (
    Asked,
    check_administrator,
    check_csrf,
    check_origin,
    context_of,
    visitor,
)
from littoral_console.accounts import Person
from littoral_console.agreement import agreements
from littoral_console.answers import UnknownPersonError
from littoral_console.context import Context
from littoral_console.health import symptoms
from littoral_console.pages.reasons import reason, tally, word
from littoral_console.phases import phase

_ROOM: Final = Path(__file__).parents[1]
STATIC: Final = _ROOM / "static"
NAVIGATION: Final = (
    ("/", "Overview", "overview"),
    ("/devices", "Devices", "devices"),
    ("/releases", "Releases", "releases"),
    ("/rollouts", "Rollouts", "rollouts"),
    ("/history", "History", "history"),
    ("/telemetry", "Telemetry", "telemetry"),
    ("/tokens", "Tokens", "tokens"),
    ("/audit", "Audit", "audit"),
    ("/people", "People", "people"),
)
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Vary": "HX-Request",
}
_SEE_OTHER: Final = 303
_NOT_FOUND: Final = 404
_TITLES: Final = {
    401: "Sign in first",
    403: "This may not be done",
    404: "There is no such page",
    429: "Too often",
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request for a page, and who asks."""

    context: Context
    request: Request
    person: Person | None
    fleet: str
    now_ms: int

    @property
    def who(self) -> Person:
        """Return who asks. Raises UnknownPersonError when nobody is signed in."""
        if self.person is None:
            raise UnknownPersonError("nobody is signed in")
        return self.person

    @property
    def name(self) -> str:
        return self.who.name

    @property
    def here(self) -> str:
        return _here(self.request)

    def show(
        self,
        template: str,
        *,
        section: str = "",
        status: int = 200,
        every: int = 5,
        **values: Any,  # noqa: ANN401
    ) -> HTMLResponse:
        """Return the page; of one that lives only its live part, when htmx asks for that."""
        text = (
            _templates()
            .get_template(template)
            .render(
                values,
                person=self.person,
                csrf=self.person.csrf or "" if self.person else "",
                fleet=self.fleet,
                now_ms=self.now_ms,
                section=section,
                here=self.here,
                every=every,
                fragment="hx-request" in self.request.headers,
            )
        )
        return HTMLResponse(text, status_code=status)

    def problem(self, error: Exception) -> Response:
        """Return the page, or for a program the JSON, that says what went wrong."""
        status, code, words = described(error)
        if not _is_browser(self.request):
            return JSONResponse({"code": code, "error": words}, status_code=status)
        return self.show(
            "problem.html",
            status=status,
            title=_TITLES.get(status, "This cannot be done"),
            words=words,
            code=code,
            meaning=reason(code).meaning if isinstance(error, TrustError) else "",
        )


async def anyone(
    request: Request, context: Asked, who: Annotated[Person | None, Depends(visitor)]
) -> Visit:
    """Return the visit of anybody, signed in or not."""
    return Visit(
        context=context,
        request=request,
        person=who,
        fleet=await context.look(queries.fleet_name),
        now_ms=context.clock(),
    )


async def entered(visit: Annotated[Visit, Depends(anyone)]) -> Visit:
    """Return the visit of somebody who is signed in. Raises UnknownPersonError."""
    if visit.person is None:
        raise UnknownPersonError("nobody is signed in")
    return visit


async def acting(
    visit: Annotated[Visit, Depends(entered)], csrf: Annotated[str, Form()] = ""
) -> Visit:
    """Return the visit of somebody whose form is one of ours; see ``check_form``."""
    check_form(visit, csrf)
    return visit


async def administering(visit: Annotated[Visit, Depends(acting)]) -> Visit:
    """Return the same of an administrator; see ``check_administrator``."""
    check_administrator(visit.who)
    return visit


def check_form(visit: Visit, csrf: str) -> None:
    """Raise DeniedError if the form came from elsewhere."""
    check_origin(visit.request)
    if visit.who.csrf is not None:
        check_csrf(visit.who, csrf)


Anyone = Annotated[Visit, Depends(anyone)]
Entered = Annotated[Visit, Depends(entered)]
Acting = Annotated[Visit, Depends(acting)]
Administering = Annotated[Visit, Depends(administering)]


class PageRoute(APIRoute):
    """A route whose errors are pages, and whose answers bear the pages' headers."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                response = await inner(request)
            except (LittoralError, HTTPException, RequestValidationError) as e:
                response = await _answer(request, e)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return handle


def see(where: str) -> Response:
    """Return the order to look at ``where``, after a deed was done."""
    return RedirectResponse(where, status_code=_SEE_OTHER)


@cache
def static_url(name: str) -> str:
    """Return where the file is served; another content has another address."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def described(error: Exception) -> tuple[int, str, str]:
    """Return the status, the code and the words of an error."""
    match error:
        case LittoralError():
            return answers.status(error), error.code, str(error)
        case HTTPException() if error.status_code != _NOT_FOUND:
            return error.status_code, answers.code(error), str(error.detail)
        case RequestValidationError() if all(e["loc"][0] != "path" for e in error.errors()):
            wrong = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors())
            return 422, MisuseError.code, wrong
        case _:
            return 404, NotFoundError.code, "there is nothing of this name here"


async def nowhere(request: Request, error: Exception) -> Response:
    """Answer who asked for what no route has: a page for people, JSON for programs."""
    if request.url.path.startswith("/api/") or not _is_browser(request):
        return await answers.on_http(request, error)
    response = await _answer(request, error)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, UnknownPersonError):
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"HX-Refresh": "true"})
        if request.method == "GET" and _is_browser(request):
            return see(f"/login?{urlencode({'next': _here(request)})}")
    context = context_of(request)
    who = await visitor(request, context)
    return (await anyone(request, context, who)).problem(error)


@cache
def _templates() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_ROOM / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"static": static_url, "navigation": NAVIGATION}
    found.filters |= {
        "age": figures.age,
        "agreements": agreements,
        "figures": figures.rows,
        "iso": figures.iso,
        "micros": figures.micros,
        "number": figures.number,
        "percent": figures.percent,
        "phase": phase,
        "progress": progress,
        "waits": waits.words,
        "ways": figures.ways,
        "reason": reason,
        "said": figures.said,
        "size": size,
        "symptoms": symptoms,
        "tally": tally,
        "utc": figures.utc,
        "word": word,
    }
    return found


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _here(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
