"""What devices answered: counts by bin, merged; what they mean is littoral.wire.drift's."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, select

from littoral.wire import drift
from littoral.wire.sketch import Sketch
from littoral_console import tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answers of one release, by kind: how many fell into each bin."""

    model: str
    release: int
    counts: dict[drift.Kind, dict[int, int]]


def answered(
    connection: Connection,
    *,
    since_ms: int,
    devices: Collection[str] | None = None,
    model: str | None = None,
) -> tuple[Answered, ...]:
    """Return what was answered in windows that started since then, by release.

    ``devices`` limits it to these (an empty collection to none), None takes all.
    """
    c = t.telemetry.c
    found = select(c.model, c.release, c.stage, c.sketch).where(
        c.start_ms >= since_ms, c.stage.in_(drift.KINDS)
    )
    if devices is not None:
        found = found.where(c.device.in_(devices))
    if model is not None:
        found = found.where(c.model == model)
    merged: dict[tuple[str, int], dict[drift.Kind, Sketch]] = {}
    for row in connection.execute(found):
        kinds = merged.setdefault((row.model, row.release), {})
        kind = cast("drift.Kind", row.stage)
        kinds.setdefault(kind, Sketch()).merge(Sketch.decode(row.sketch))
    return tuple(
        Answered(
            model=name,
            release=number,
            counts={kind: drift.counted(sketch) for kind, sketch in kinds.items()},
        )
        for (name, number), kinds in sorted(merged.items())
    )
