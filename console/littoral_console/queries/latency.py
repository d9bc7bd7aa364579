"""How fast models answer: percentiles of merged sketches, never averages of percentiles."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, func, select

from littoral.wire.drift import KINDS
from littoral.wire.sketch import Sketch
from littoral_console import tables as t

By = Literal["device", "model", "release", "variant", "stage"]

_EVERY: Final[tuple[By, ...]] = ("device", "model", "release", "variant", "stage")
_Row = tuple[int, tuple[str | int, ...], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles of all requests in a group; a field that the group runs over is None."""

    device: str | None
    model: str | None
    release: int | None
    variant: str | None
    stage: str | None
    count: int
    mean_us: float
    p50_us: float
    p95_us: float
    p99_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPoint:
    """The latency of a group in one step of time."""

    start_ms: int
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How the requests of one release are spread over latencies."""

    release: int
    count: int
    buckets: tuple[tuple[float, int], ...]  # upper bound in µs and requests, ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How many requests a release failed, by its own fault."""

    model: str
    release: int
    errors: int


def errors(
    connection: Connection,
    *,
    since_ms: int,
    devices: Collection[str] | None = None,
    model: str | None = None,
) -> tuple[Errors, ...]:
    """Return the errors in windows that started since then, of releases that had any."""
    c = t.model_errors.c
    found = (
        select(c.model, c.release, func.sum(c.errors).label("errors"))
        .where(c.start_ms >= since_ms)
        .group_by(c.model, c.release)
        .order_by(c.model, c.release)
    )
    if devices is not None:
        found = found.where(c.device.in_(devices))
    if model is not None:
        found = found.where(c.model == model)
    return tuple(
        Errors(model=row.model, release=row.release, errors=int(row.errors))
        for row in connection.execute(found)
    )


def latency(
    connection: Connection,
    *,
    since_ms: int,
    devices: Collection[str] | None = None,
    model: str | None = None,
    release: int | None = None,
    stage: str | None = None,
    by: Collection[By] = ("model", "release", "stage"),
) -> tuple[Latency, ...]:
    """Return the latency of windows that started in [since, until), one result a group of ``by``.

    ``devices`` limits it to these (an empty collection to none), None takes all.
    """
    groups: dict[tuple[str | int | None, ...], Sketch] = {}
    for _, values, data in _windows(
        connection,
        since_ms=since_ms,
        devices=devices,
        model=model,
        release=release,
        stage=stage,
    ):
        groups.setdefault(_group(values, by), Sketch()).merge(Sketch.decode(data))
    return tuple(_latency(group, groups[group]) for group in sorted(groups, key=_order))


def latency_series(
    connection: Connection,
    *,
    since_ms: int,
    step_ms: int,
    devices: Collection[str] | None = None,
    model: str | None = None,
    release: int | None = None,
    stage: str | None = None,
    by: Collection[By] = ("model", "release", "stage"),
) -> tuple[LatencyPoint, ...]:
    """Return what ``latency`` does for every step of time that has any, in order of time."""
    groups: dict[tuple[int, tuple[str | int | None, ...]], Sketch] = {}
    for start_ms, values, data in _windows(
        connection,
        since_ms=since_ms,
        devices=devices,
        model=model,
        release=release,
        stage=stage,
    ):
        at = start_ms - start_ms % step_ms
        groups.setdefault((at, _group(values, by)), Sketch()).merge(Sketch.decode(data))
    return tuple(
        LatencyPoint(start_ms=at, latency=_latency(group, groups[at, group]))
        for at, group in sorted(groups, key=lambda key: (key[0], _order(key[1])))
    )


def spreads(
    connection: Connection,
    *,
    since_ms: int,
    model: str,
    stage: str,
    devices: Collection[str] | None = None,
) -> tuple[Spread, ...]:
    """Return how the requests of each release are spread, in windows that started since then."""
    merged: dict[int, Sketch] = {}
    for _, (_, _, release, _, _), data in _windows(
        connection,
        since_ms=since_ms,
        devices=devices,
        model=model,
        release=None,
        stage=stage,
    ):
        merged.setdefault(int(release), Sketch()).merge(Sketch.decode(data))
    return tuple(
        Spread(release=number, count=sketch.count, buckets=tuple(sketch.buckets()))
        for number, sketch in sorted(merged.items())
    )


def _windows(
    connection: Connection,
    *,
    since_ms: int,
    devices: Collection[str] | None,
    model: str | None,
    release: int | None,
    stage: str | None,
) -> Iterator[_Row]:
    c = t.telemetry.c
    found = select(c.start_ms, c.device, c.model, c.release, c.variant, c.stage, c.sketch).where(
        c.start_ms >= since_ms,
        c.stage.not_in(KINDS),  # what was answered travels like a stage, and takes no time
    )
    if devices is not None:
        found = found.where(c.device.in_(devices))
    for column, wanted in ((c.model, model), (c.release, release), (c.stage, stage)):
        if wanted is not None:
            found = found.where(column == wanted)
    for start_ms, *values, data in connection.execute(found):
        yield start_ms, tuple(values), data


def _group(values: tuple[str | int, ...], by: Collection[By]) -> tuple[str | int | None, ...]:
    return tuple(value if name in by else None for name, value in zip(_EVERY, values, strict=True))


def _order(group: tuple[str | int | None, ...]) -> tuple[str, ...]:
    return tuple(f"{value:020}" if isinstance(value, int) else str(value or "") for value in group)


def _latency(group: tuple[str | int | None, ...], sketch: Sketch) -> Latency:
    device, model, release, variant, stage = group
    many = sketch.count
    return Latency(
        device=None if device is None else str(device),
        model=None if model is None else str(model),
        release=None if release is None else int(release),
        variant=None if variant is None else str(variant),
        stage=None if stage is None else str(stage),
        count=many,
        mean_us=sketch.sum / many if many else 0.0,
        p50_us=sketch.quantile(0.5),
        p95_us=sketch.quantile(0.95),
        p99_us=sketch.quantile(0.99),
    )
