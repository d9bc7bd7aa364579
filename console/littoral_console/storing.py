"""The rows that a message becomes. What is out of range raises ValueError, before any is kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from littoral import records
from littoral.bundle.manifest import check_id
from littoral.wire.board import Board
from littoral.wire.messages import Benched, Key, Report, Running, Unreached
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Telemetry
from littoral.wire.update import Update
from littoral_console import outcomes
from littoral_console import tables as t
from littoral_console.database import insert_once

MOST: Final = 2**53  # JSON's whole numbers end there
_NO_UPDATE: Final[dict[str, Any]] = {
    **dict.fromkeys(("model", "event", "state", "release", "manifest", "good", "running")),
    "figures": {},
}
_DETAIL: Final = 2000
_FIGURES: Final = 64
_FIGURE: Final = 32  # characters of its name
_RUNTIMES: Final = 16


def report(connection: Connection, said: Report, *, now_ms: int) -> bool:
    """Keep a report, and what it means for what was asked of the device; return if it was new.

    One that is here already, under whatever key, changes nothing.
    """
    row: dict[str, Any] = {
        **_key(said.key),
        "once": said.once,
        "time_ms": whole(said.time_ms),
        "received_ms": now_ms,
        "kind": said.kind,
        "detail": said.detail[:_DETAIL],
        "code": said.code and said.code[:32],
        **_NO_UPDATE,
    }
    if said.update is not None:
        row |= _update(said.update, detail=said.detail)
    elif said.bench is not None:
        row |= _benched(said.bench)
    first = insert_once(connection, t.reports, row)
    if first and said.update is not None:
        outcomes.heard_update(connection, said, now_ms=now_ms)
    return first


def telemetry(connection: Connection, said: Telemetry, *, now_ms: int) -> None:
    """Keep the sketches of one window, the errors in it, and how the board was.

    What was measured is past: else a clock that is ahead makes its windows the newest for ever.
    """
    key = {**_key(said.key), "start_ms": min(whole(said.start_ms), now_ms)}
    sketches: dict[tuple[str, int, str, str], Sketch] = {}
    for s in said.series:
        named = (s.model, s.release, s.variant, s.stage)
        sketches.setdefault(named, Sketch()).merge(s.sketch)
    duration_ms = whole(said.duration_ms)
    for sketch in sketches.values():
        whole(round(sketch.sum))  # of the greatest that travels, a merged one could not be read
    rows = [
        {
            **key,
            "duration_ms": duration_ms,
            "model": model,
            "release": whole(release),
            "variant": variant,
            "stage": stage[:32],
            "count": whole(sketch.count),
            "sketch": sketch.encode(),
        }
        for (model, release, variant, stage), sketch in sketches.items()
    ]
    if rows:
        connection.execute(insert(t.telemetry), rows)
    failed = [{**key, **_errors(name, many)} for name, many in said.errors.items()]
    if failed:
        connection.execute(insert(t.model_errors), failed)
    if said.board is not None:
        ends_ms = min(whole(said.start_ms + duration_ms), now_ms)
        row = {**key, "ends_ms": ends_ms, "figures": said.board.encode()}
        connection.execute(insert(t.board_windows), row)


def board(said: Board | None) -> dict[str, Any] | None:
    """Return what a device says of its board as it is kept: no longer than anybody reads."""
    if said is None:
        return None
    runtimes = list(said.runtimes.items())[:_RUNTIMES]
    short = replace(
        said,
        model=said.model[:64],
        boot=said.boot[:64],
        accelerators=tuple(name[:64] for name in said.accelerators[:8]),
        runtimes={name[:32]: version[:32] for name, version in runtimes},
        alarms=tuple(name[:32] for name in said.alarms[:8]),
    )
    found: dict[str, Any] = records.plain(short)
    return found


def unreached(said: Unreached | None) -> dict[str, Any] | None:
    """Return why what a device wants does not come as it is kept: no longer than anybody reads."""
    if said is None:
        return None
    whole(said.since_ms)
    found: dict[str, Any] = records.plain(
        replace(said, code=said.code[:32], detail=said.detail[:_DETAIL])
    )
    return found


def models(connection: Connection, device: str, running: Sequence[Running], *, now_ms: int) -> None:
    """Keep what runs on a device, in place of what ran, and since when it says so."""
    c = t.device_models.c
    held = connection.execute(select(t.device_models).where(c.device == device))
    before = {row.model: row._asdict() for row in held}
    connection.execute(delete(t.device_models).where(c.device == device))
    rows: list[dict[str, Any]] = []
    for m in {m.model: m for m in running}.values():
        row = {
            "device": device,
            "model": check_id("model", m.model),
            "state": m.state[:16],
            "release": whole(m.release),
            "manifest": m.manifest and m.manifest[:64],
            "variant": m.variant and m.variant[:64],
            "good": whole(m.good),
            "candidate": whole(m.candidate),
            "waits": m.waits and m.waits[:32],
            "waits_until_ms": whole(m.waits_until_ms),
        }
        known = before.get(m.model, {})
        same = row.items() <= known.items()
        far = {"done_bytes": whole(m.done_bytes), "total_bytes": whole(m.total_bytes)}
        rows.append({**row, **far, "since_ms": known["since_ms"] if same else now_ms})
    if rows:
        connection.execute(insert(t.device_models), rows)


def whole(number: int | None) -> Any:  # noqa: ANN401
    """Return ``number`` if a database keeps it. Raises ValueError."""
    if number is not None and not 0 <= number < MOST:
        raise ValueError(f"{number} is out of range")
    return number


def _update(u: Update, *, detail: str) -> dict[str, Any]:
    return {
        "model": check_id("model", u.model),
        "event": u.event[:16],
        "state": u.state[:16],
        "release": whole(u.release),
        "manifest": u.manifest and u.manifest[:64],
        "good": whole(u.good),
        "running": whole(u.running),
        "code": u.code and u.code[:32],
        "detail": (u.detail or detail)[:_DETAIL],
        "figures": _figures(u.figures),
    }


def _benched(found: Benched) -> dict[str, Any]:
    return {
        "model": found.model,
        "release": whole(found.release),
        "detail": _benched_words(found)[:_DETAIL],
        "figures": _figures(found.figures),
    }


def _figures(said: dict[str, float]) -> dict[str, float]:
    return {name[:_FIGURE]: value for name, value in list(said.items())[:_FIGURES]}


def _benched_words(found: Benched) -> str:
    """Return how it was measured, as people read it in the history."""
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    how = " · ".join(part for part in (found.variant, found.backend, threads) if part)
    return f"{found.target} on {found.board}: {how}, {found.scenario}, {found.runtime}"


def _errors(name: str, many: int) -> dict[str, Any]:
    model, _, release = name.partition("/")
    return {
        "model": check_id("model", model),
        "release": whole(int(release)),
        "errors": whole(many),
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "device": key.device,
        "incarnation": key.incarnation,
        "stream": key.stream,
        "sequence": key.sequence,
    }
