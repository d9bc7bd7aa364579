"""What becomes of what devices were asked for: an outcome is what the device reported.

Silence is ``pending`` however long it lasts.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, select, update

from littoral.wire.journal import State
from littoral.wire.messages import Report, Running, Update
from littoral_console import tables as t


class Outcome(StrEnum):
    PENDING = "pending"  # asked for; the device has not said how it ended
    HEALTHY = "healthy"  # proven on the device, and serving
    REFUSED = "refused"  # not what was promised, or not for this device: it never ran
    FAILED = "failed"  # it ran, and did not prove itself
    SUPERSEDED = "superseded"  # something else was asked for before it ended


BAD: Final = (Outcome.REFUSED, Outcome.FAILED)
LEFT: Final = "probation_left_s"  # a figure of a device's report
_MOST_LEFT_S: Final = 365 * 24 * 3600.0
_MOST_LATE_MS: Final = 24 * 3600 * 1000  # a report waits in a spool; a clock may be years behind


def heard_update(connection: Connection, report: Report, *, now_ms: int) -> None:
    """Take what a report says of an update that is asked for."""
    said, device = report.update, report.key.device
    if said is None or said.release is None:
        return
    values = {
        "outcome": _outcome(said),
        "step": said.event[:16],
        "state": said.state[:16],
        "until_ms": watched_until(said, time_ms=report.time_ms, now_ms=now_ms),
        "code": said.code and said.code[:32],
        "detail": said.detail[:2000],
        "updated_ms": now_ms,
    }
    _conclude(connection, device, model=said.model, release=said.release, values=values)


def heard_running(connection: Connection, device: str, said: Running, *, now_ms: int) -> None:
    """Take what a status says: what is proven and idle is what was asked for."""
    if said.state == State.IDLE and said.good is not None:
        values = {
            "outcome": Outcome.HEALTHY,
            "step": "healthy",
            "state": said.state,
            "until_ms": None,
            "code": None,
            "detail": "",
            "updated_ms": now_ms,
        }
        _conclude(
            connection,
            device,
            model=said.model,
            release=said.good,
            values=values,
            only=Outcome.PENDING,
        )


def watched_until(said: Update, *, time_ms: int, now_ms: int) -> int | None:
    """Return when the device will have watched the candidate for long enough, if it said so.

    It counts from when the device said it, by its own clock where that can be believed.
    """
    left_s = said.figures.get(LEFT, math.nan)
    if said.state != State.PROBATION or not 0 <= left_s <= _MOST_LEFT_S:
        return None
    began_ms = time_ms if now_ms - _MOST_LATE_MS <= time_ms <= now_ms else now_ms
    return began_ms + round(left_s * 1000)


def _outcome(said: Update) -> Outcome:
    match said.event:
        case "refused":
            return Outcome.REFUSED
        case "failed":
            return Outcome.FAILED
        case "healthy":
            return Outcome.HEALTHY
        case _ if said.state == State.IDLE and said.good == said.release:
            return Outcome.HEALTHY
        case _:
            return Outcome.PENDING


def _conclude(
    connection: Connection,
    device: str,
    *,
    model: str,
    release: int,
    values: Mapping[str, object],
    only: Outcome | None = None,
) -> None:
    """Change the outcome of what the device is asked for now, and of nothing older."""
    c, d = t.rollout_devices.c, t.desired.c
    asked = (
        select(d.rollout)
        .where(d.device == device, d.model == model, d.release == release)
        .scalar_subquery()
    )
    row = update(t.rollout_devices).where(c.device == device, c.rollout == asked)
    if only is not None:
        row = row.where(c.outcome == only)
    connection.execute(row.values(**values))
