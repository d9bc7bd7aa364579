"""What happened on the devices, and why."""

from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Response

from littoral_console import queries
from littoral_console.pages.frame import Entered, PageRoute
from littoral_console.pages.reasons import codes

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_LIMIT: Final = 50


@router.get("/history")
def history(
    visit: Entered,
    model: str = "",
    device: str = "",
    code: str = "",
    *,
    refused: bool = False,
    before: int | None = None,
) -> Response:
    with visit.context.database.reading() as connection:
        changes = queries.history(
            connection,
            device=device or None,
            model=model or None,
            code=code or None,
            refused=refused,
            before=before,
            limit=_LIMIT,
        )
        devices = [found.id for found in queries.devices(connection)]
        models = sorted({found.model for found in queries.releases(connection)})
    chosen = {"model": model, "device": device, "code": code, "refused": "1" if refused else ""}
    return visit.show(
        "history.html",
        section="/history",
        changes=changes,
        devices=devices,
        models=models,
        codes=codes(),
        model=model,
        device_id=device,
        code=code,
        refused=refused,
        earlier=_earlier(chosen, changes),
    )


def _earlier(chosen: dict[str, str], changes: tuple[queries.Change, ...]) -> str:
    """Return where the page before this one is, empty when this is the first of all."""
    if len(changes) < _LIMIT:
        return ""
    kept = {name: value for name, value in chosen.items() if value}
    return f"/history?{urlencode(kept | {'before': str(changes[-1].id)})}"
