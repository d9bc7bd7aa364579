"""The board of one device over time, as the columns of its charts."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from littoral.wire.board import SPREADS, BoardWindow
from littoral_console import queries
from littoral_console.pages.frame import Entered, PageRoute
from littoral_console.pages.telemetry import Chosen
from littoral_console.queries import BoardPoint

router = APIRouter(route_class=PageRoute, include_in_schema=False)

WINDOW_MS: Final = 15 * 60_000  # at the default pace
_HOLE: Final = 2.5  # windows that are missing, after which a line is broken


@router.get("/telemetry/board.json")
def data(visit: Entered, choice: Chosen) -> Response:
    with visit.context.database.reading() as connection:
        points = queries.board_windows(
            connection,
            since_ms=choice.since_ms,
            step_ms=choice.step_ms,
            devices=choice.devices or (),
        )
    found = {"since_s": choice.since_ms / 1000, "now_s": visit.now_ms / 1000}
    return JSONResponse(
        choice.said | found | columns(points, hole_ms=_HOLE * max(WINDOW_MS, choice.step_ms))
    )


def columns(points: Sequence[BoardPoint], *, hole_ms: float) -> dict[str, Any]:
    """Return the figures of one device as columns; a hole in time is a row of nothing."""
    rows: list[tuple[int, BoardWindow | None]] = []
    for point in points:
        if rows and point.ends_ms - rows[-1][0] > hole_ms:
            rows.append((rows[-1][0] + 1, None))
        rows.append((point.ends_ms, point.window))
    found: dict[str, Any] = {"t": [at / 1000 for at, _ in rows]}
    for one in SPREADS:
        spreads = [getattr(window, one.name) if window else None for _, window in rows]
        if any(spreads):
            found[one.name] = {
                part: [getattr(s, part) if s else None for s in spreads]
                for part in ("low", "mean", "high")
            }
    found["disk_free_mib"] = [window.disk_free_mib if window else None for _, window in rows]
    for mark in ("throttled", "under_voltage"):
        found[mark] = [getattr(window, mark) if window else 0 for _, window in rows]
    return found
