"""The console's pages, for people: what the fleet reports, and what may be asked of it.

Server-side templates with live parts and charts; without scripts everything can be read and
every form works. ``router`` is for ``app.people_app``.
"""

from fastapi import APIRouter

from littoral_console.pages import (
    audit,
    boards,
    claims,
    devices,
    doors,
    files,
    history,
    overview,
    people,
    pushing,
    releases,
    rollouts,
    telemetry,
    tokens,
    uploading,
)
from littoral_console.pages.frame import nowhere

__all__ = ["nowhere", "router"]

router = APIRouter()
for part in (
    doors,
    overview,
    devices,
    claims,
    releases,
    pushing,
    uploading,
    rollouts,
    history,
    telemetry,
    boards,
    tokens,
    audit,
    people,
    files,
):
    router.include_router(part.router)
