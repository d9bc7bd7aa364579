"""The first page: the fleet at a glance."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from fastapi import APIRouter, Response

from littoral_console import queries
from littoral_console.alarms import alarms
from littoral_console.pages.frame import Entered, PageRoute
from littoral_console.queries import Device, Latency, LatencyPoint

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_HOUR_MS: Final = 3_600_000
_STEP_MS: Final = 2 * 60_000
_TONES: Final = ("share-1", "share-2", "share-3", "share-4")  # newest release first
_SPARK: Final = (100.0, 24.0)  # width and height
_SPARK_PEAK: Final = 0.65  # of the height: a steady line lies beside the middle of its row


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The devices on which one release of a model answers requests; None: none does."""

    release: int | None
    devices: int
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    model: str
    parts: tuple[Part, ...]

    @property
    def devices(self) -> int:
        return sum(part.devices for part in self.parts)

    @property
    def bar(self) -> list[tuple[str, int]]:
        return [(part.tone, part.devices) for part in self.parts]

    @property
    def words(self) -> str:
        said = (f"{p.devices} run {f'r{p.release}' if p.release else 'none'}" for p in self.parts)
        return ", ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The latency of a release, and its p95 over time as the points of a line."""

    latency: Latency
    spark: str


@router.get("/")
def overview(visit: Entered) -> Response:
    since_ms = visit.now_ms - _HOUR_MS
    with visit.context.database.reading() as connection:
        rollouts = queries.rollouts(connection, limit=50)
        whole = queries.latency(connection, since_ms=since_ms, stage="invoke", by=())
        by = queries.latency(connection, since_ms=since_ms, stage="invoke")
        series = queries.latency_series(
            connection, since_ms=since_ms, step_ms=_STEP_MS, stage="invoke"
        )
        summary = queries.summary(connection)
        devices = queries.devices(connection)
        refusals = queries.history(connection, refused=True, limit=6)
        claims = queries.claims_waiting(connection)
    return visit.show(
        "overview.html",
        section="/",
        alarms=alarms(
            devices,
            endings=visit.context.endings,
            claims=claims,
            now_ms=visit.now_ms,
            aside=visit.context.repository.aside(),
        ),
        summary=summary,
        shares=shares(devices),
        refusals=refusals,
        running=[found for found in rollouts if found.outcomes.get("pending")],
        latest=rollouts[:4],
        latency=speeds(by, series, since_ms=since_ms),
        p95_us=whole[0].p95_us if whole else None,
        requests=whole[0].count if whole else 0,
    )


def shares(devices: Iterable[Device]) -> tuple[Share, ...]:
    """Return by model how many devices run which release, newest first."""
    counts: dict[str, Counter[int | None]] = {}
    for device in devices:
        if device.revoked_ms is None:
            for running in device.models:
                counts.setdefault(running.model, Counter())[running.release] += 1
    return tuple(Share(model=model, parts=_parts(counts[model])) for model in sorted(counts))


def speeds(
    latencies: Sequence[Latency], points: Sequence[LatencyPoint], *, since_ms: int
) -> tuple[Speed, ...]:
    """Return for every release how fast it was, and its p95 over time."""

    def key(found: Latency) -> tuple[str, int]:
        return found.model or "", found.release or 0

    ordered = sorted(points, key=lambda point: (key(point.latency), point.start_ms))
    lines = {
        name: spark([(p.start_ms - since_ms, p.latency.p95_us) for p in group])
        for name, group in groupby(ordered, lambda point: key(point.latency))
    }
    return tuple(Speed(latency=found, spark=lines.get(key(found), "")) for found in latencies)


def spark(points: Sequence[tuple[int, float]], *, span_ms: int = _HOUR_MS) -> str:
    """Return the points of a small line, from zero up; empty where there is no line to draw."""
    if len(points) < 2:  # noqa: PLR2004
        return ""
    width, height = _SPARK
    most = max(value for _, value in points) or 1.0
    return " ".join(
        f"{width * at / span_ms:.1f},{height - _SPARK_PEAK * height * value / most:.1f}"
        for at, value in points
    )


def _parts(counts: Counter[int | None]) -> tuple[Part, ...]:
    newest = sorted((found for found in counts if found is not None), reverse=True)
    parts = [
        Part(release=found, devices=counts[found], tone=_TONES[min(i, len(_TONES) - 1)])
        for i, found in enumerate(newest)
    ]
    if counts[None]:
        parts.append(Part(release=None, devices=counts[None], tone="calm"))
    return tuple(parts)
