"""Who did what in the console."""

from typing import Final

from fastapi import APIRouter, Response

from littoral_console import audit as log
from littoral_console import queries
from littoral_console.pages.frame import Entered, PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LIMIT: Final = 100


@router.get("/audit")
def audit(visit: Entered, before: int | None = None) -> Response:
    with visit.context.database.reading() as connection:
        entries = queries.audit(connection, before=before, limit=_LIMIT)
        broken = log.first_broken(connection)
    more = f"/audit?before={entries[-1].id}" if len(entries) == _LIMIT else ""
    return visit.show("audit.html", section="/audit", entries=entries, broken=broken, earlier=more)
