"""How fast models answer: charts that ask for JSON, and the same in numbers."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from littoral.wire.stages import STAGES
from littoral_console import queries
from littoral_console.pages.frame import Entered, PageRoute
from littoral_console.queries import LatencyPoint, Spread
from littoral_console.queries.latency import By

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SPANS: Final = (
    ("15m", "last 15 minutes", 15 * 60_000, 5_000),
    ("1h", "last hour", 3_600_000, 20_000),
    ("6h", "last 6 hours", 6 * 3_600_000, 120_000),
    ("24h", "last 24 hours", 24 * 3_600_000, 600_000),
    ("7d", "last 7 days", 7 * 24 * 3_600_000, 3_600_000),
)
_BY_RELEASE: Final[tuple[By, ...]] = ("release",)
_MOST: Final = 3  # releases in one chart
_HOLE: Final = 12  # steps without a window after which a line is broken
_PER_OCTAVE: Final = 8  # bars in each doubling of the latency; a sketch has 32 buckets there
_SLACK: Final = 1e-6  # a bound that lies on an edge belongs below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a chart shows, and what it could show."""

    model: str
    stage: str
    span: str
    device: str
    models: tuple[str, ...]
    words: str
    since_ms: int
    step_ms: int
    stages: tuple[str, ...] = STAGES
    spans: tuple[tuple[str, str], ...] = tuple((name, text) for name, text, _, _ in SPANS)

    @property
    def said(self) -> dict[str, Any]:
        return {"model": self.model, "stage": self.stage, "span": self.span}

    @property
    def devices(self) -> tuple[str, ...] | None:
        return (self.device,) if self.device else None


def choose(
    connection: Connection, *, model: str, stage: str, span: str, device: str, now_ms: int
) -> Choice:
    """Return what was asked for, as far as it exists; else the first that does."""
    name, words, long_ms, step_ms = next((s for s in SPANS if s[0] == span), SPANS[1])
    models = _models(connection, device)
    return Choice(
        model=model if model in models else next(iter(models), ""),
        stage=stage if stage in STAGES else "invoke",
        span=name,
        device=device,
        models=models,
        words=words,
        since_ms=now_ms - long_ms,
        step_ms=step_ms,
    )


def chosen(
    visit: Entered, model: str = "", stage: str = "", span: str = "", device: str = ""
) -> Choice:
    """Return what the query of a request chose."""
    with visit.context.database.reading() as connection:
        return choose(
            connection, model=model, stage=stage, span=span, device=device, now_ms=visit.now_ms
        )


Chosen = Annotated[Choice, Depends(chosen)]


@router.get("/telemetry")
def telemetry(visit: Entered, choice: Chosen) -> Response:
    with visit.context.database.reading() as connection:
        rows = queries.latency(
            connection, since_ms=choice.since_ms, devices=choice.devices, model=choice.model
        )
        devices = [found.id for found in queries.devices(connection)]
    rows = tuple(sorted(rows, key=lambda r: (-(r.release or 0), _stage(r.stage))))
    return visit.show(
        "telemetry.html", section="/telemetry", choice=choice, rows=rows, devices=devices
    )


@router.get("/telemetry/data.json")
def data(visit: Entered, choice: Chosen) -> Response:
    with visit.context.database.reading() as connection:
        points = queries.latency_series(
            connection,
            since_ms=choice.since_ms,
            step_ms=choice.step_ms,
            devices=choice.devices,
            model=choice.model,
            stage=choice.stage,
            by=_BY_RELEASE,
        )
    found = {
        "since_s": choice.since_ms / 1000,
        "now_s": visit.now_ms / 1000,
        "releases": lines(points, step_ms=choice.step_ms),
    }
    return JSONResponse(choice.said | found)


@router.get("/telemetry/spread.json")
def spread(visit: Entered, choice: Chosen) -> Response:
    with visit.context.database.reading() as connection:
        found = queries.spreads(
            connection,
            since_ms=choice.since_ms,
            devices=choice.devices,
            model=choice.model,
            stage=choice.stage,
        )
    return JSONResponse(choice.said | bars(found[-2:]))


def lines(points: Iterable[LatencyPoint], *, step_ms: int) -> list[dict[str, Any]]:
    """Return the newest releases, newest first, each with columns of time and percentiles.

    A hole in time is a row without percentiles, so that no line is drawn across it.
    """
    by: defaultdict[int, list[LatencyPoint]] = defaultdict(list)
    for point in points:
        by[point.latency.release or 0].append(point)
    return [
        {"release": release} | _columns(by[release], step_ms=step_ms)
        for release in sorted(by, reverse=True)[:_MOST]
    ]


def bars(spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return the edges of the bars, and for each release, newest first, its share in each."""
    counted = [(found, _bars(found)) for found in reversed(spreads)]
    places = [place for _, heights in counted for place in heights]
    if not places:
        return {"edges_us": [], "releases": []}
    shown = range(min(places) - 1, max(places) + 3)  # a bar that is empty on either side
    return {
        "edges_us": [2.0 ** (place / _PER_OCTAVE) for place in shown],
        "releases": [
            {"release": found.release, "share": [heights[p] / found.count for p in shown]}
            for found, heights in counted
        ],
    }


def _bars(found: Spread) -> Counter[int]:
    heights: Counter[int] = Counter()
    for upper_us, many in found.buckets:
        heights[math.ceil(math.log2(upper_us) * _PER_OCTAVE - _SLACK) - 1] += many
    return heights


def _columns(points: list[LatencyPoint], *, step_ms: int) -> dict[str, list[float | None]]:
    rows: list[tuple[float | None, ...]] = []
    before: int | None = None
    for point in points:
        if before is not None and point.start_ms - before > _HOLE * step_ms:
            rows.append(((before + step_ms) / 1000, None, None, None))
        at, found = point.start_ms, point.latency
        rows.append((at / 1000, found.p50_us, found.p95_us, found.p99_us))
        before = at
    names = ("t", "p50", "p95", "p99")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _models(connection: Connection, device: str) -> tuple[str, ...]:
    if device:
        found = queries.devices(connection, only=device)
        return tuple(running.model for d in found for running in d.models)
    return tuple(sorted({release.model for release in queries.releases(connection)}))


def _stage(name: str | None) -> int:
    return STAGES.index(name) if name in STAGES else len(STAGES)
