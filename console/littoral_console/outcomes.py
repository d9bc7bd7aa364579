"""What becomes of what devices were asked for: an outcome is what the device reported.

Silence is ``pending`` however long it lasts, and changes nothing that was reported. An outcome
is not for ever: a device that had proven a release, and then says that another one is good, has
failed it, although nobody ordered that; and has proven it again once it says so.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from littoral.errors import FellBackError
from littoral.wire.journal import State
from littoral.wire.messages import Report, Running, Status
from littoral.wire.update import PROBATION_LEFT, WAITS_LEFT, Update
from littoral_console import tables as t


class Outcome(StrEnum):
    PENDING = "pending"  # asked for; the device has not said how it ended
    HEALTHY = "healthy"  # proven on the device, and serving
    REFUSED = "refused"  # not what was promised, or not for this device: it never ran
    FAILED = "failed"  # it ran, and did not prove itself; or it is proven no longer
    SUPERSEDED = "superseded"  # something else was asked for before it ended


BAD: Final = (Outcome.REFUSED, Outcome.FAILED)
ASKED: Final = "asked"  # a step that nobody reports: a person asked for it
FELL_BACK: Final = "fell-back"  # a step that nobody reports: what was proven is so no longer
POSTPONED: Final = "postponed"  # a step of a device's report: it waits
_LEFT: Final = {"probation": PROBATION_LEFT, POSTPONED: WAITS_LEFT}  # by state, or step
_MOST_LEFT_S: Final = 365 * 24 * 3600.0
_HEALTHY: Final = "healthy"
_STATED: Final = "status"  # it is proven by a status; reports of before that may still come
_REPORTED: Final = (_HEALTHY, FELL_BACK)  # after these, a report is later than what is known
_DETAIL: Final = 2000
_AFTER_ALL: Final = 2**53  # a sequence: no report comes after it
_MOST_LATE_MS: Final = 24 * 3600 * 1000  # a report waits in a spool; a clock may be years behind


def heard_update(connection: Connection, report: Report, *, now_ms: int) -> None:
    """Take what a report says of an update that is asked for."""
    said, device = report.update, report.key.device
    if said is None:
        return
    asked = next(iter(_asked(connection, device, model=said.model)), None)
    if asked is None:
        return
    if said.release == asked.release:
        outcome = _outcome(said)
        values = {
            "outcome": outcome,
            "step": said.event[:16],
            "state": said.state[:16],
            "until_ms": goes_on_at(said, time_ms=report.time_ms, now_ms=now_ms),
            "code": said.code[:32] if said.code and outcome is not Outcome.HEALTHY else None,
            "detail": said.detail[:_DETAIL],
        }
        _conclude(connection, asked, values, now_ms=now_ms)
    elif said.state == State.IDLE and asked.step in _REPORTED:
        rest = _at_rest(asked, good=said.good, step=_HEALTHY, why=said.detail)
        _conclude(connection, asked, rest, now_ms=now_ms)


def heard_status(connection: Connection, status: Status, *, now_ms: int) -> None:
    """Take what a status says of all that is asked for: what is proven is the device's word."""
    running = {one.model: one for one in status.models}
    for asked in _asked(connection, status.device):
        said = running.get(asked.model)
        found = _stated(asked, said) if said is not None else {}
        if said is None or not found:
            continue
        if asked.outcome == Outcome.PENDING or _is_later(connection, status, said):
            _conclude(connection, asked, found, now_ms=now_ms)


def goes_on_at(said: Update, *, time_ms: int, now_ms: int) -> int | None:
    """Return when the device will have watched the candidate for long enough, or waited.

    None if it did not say so. It counts from when the device said it, by its own clock where that
    can be believed.
    """
    figure = _LEFT.get(POSTPONED if said.event == POSTPONED else said.state, "")
    left_s = said.figures.get(figure, math.nan)
    if not 0 <= left_s <= _MOST_LEFT_S:
        return None
    began_ms = time_ms if now_ms - _MOST_LATE_MS <= time_ms <= now_ms else now_ms
    return began_ms + round(left_s * 1000)


def _outcome(said: Update) -> Outcome:
    if said.state == State.IDLE and said.good == said.release:
        return Outcome.HEALTHY  # also where it refuses to do anew what it has proven
    match said.event:
        case "refused":
            return Outcome.REFUSED
        case "failed":
            return Outcome.FAILED
        case _:
            return Outcome.PENDING


def _stated(asked: Row[*tuple[Any, ...]], said: Running) -> dict[str, object]:
    """Return what changes because a status says this; often nothing."""
    if said.state == State.IDLE:
        return _at_rest(asked, good=said.good, step=_STATED)
    anew = said.candidate == asked.release != said.good
    if not anew or asked.outcome != Outcome.HEALTHY:
        return {}
    # What it reports of that are the words of the first time, which count once.
    detail = f"it had proven release {asked.release}, and does so anew"
    state: dict[str, object] = {"state": said.state[:16], "until_ms": None, "detail": detail}
    return state | {"outcome": Outcome.PENDING, "step": _STATED}


def _at_rest(
    asked: Row[*tuple[Any, ...]], *, good: int | None, step: str, why: str = ""
) -> dict[str, object]:
    """Return what changes because a device at rest calls ``good`` proven; often nothing.

    What a release failed by stays, whatever is proven: only a report of it says otherwise.
    """
    rest: dict[str, object] = {"state": State.IDLE, "until_ms": None}
    fell_back = asked.outcome == Outcome.FAILED and asked.step == FELL_BACK
    if good == asked.release and (asked.outcome == Outcome.PENDING or fell_back):
        return rest | {"outcome": Outcome.HEALTHY, "step": step, "code": None, "detail": ""}
    if good == asked.release or asked.outcome != Outcome.HEALTHY:
        return {}
    now = f"release {good} is what it calls proven now" if good else "nothing is proven now"
    detail = f"it had proven release {asked.release}, and nobody ordered another: {now}"
    return rest | {
        "outcome": Outcome.FAILED,
        "step": FELL_BACK,
        "code": FellBackError.code,
        "detail": f"{detail}; {why}"[:_DETAIL] if why else detail,
    }


def _asked(
    connection: Connection, device: str, *, model: str | None = None
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return what the device is asked for now, of one model or of all, and what came of it."""
    c, d = t.rollout_devices.c, t.desired.c
    found = (
        select(d.device, d.model, d.release, d.rollout, c.outcome, c.step)
        .join(t.rollout_devices, (c.rollout == d.rollout) & (c.device == d.device))
        .where(d.device == device)
    )
    if model is not None:
        found = found.where(d.model == model)
    return connection.execute(found).all()


def _is_later(connection: Connection, status: Status, said: Running) -> bool:
    """Whether the status was said after the last report of the model, as the device numbers them.

    It was if that report is acknowledged, as far as the status knows, or of a stream of before.
    """
    c = t.reports.c
    last = connection.execute(
        select(c.incarnation, c.stream, c.sequence)
        .where(c.device == status.device, c.model == said.model)
        .order_by(c.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.incarnation != status.incarnation:
        return True
    return int(last.sequence) < status.spool.get(last.stream, _AFTER_ALL)


def _conclude(
    connection: Connection,
    asked: Row[*tuple[Any, ...]],
    values: Mapping[str, object],
    *,
    now_ms: int,
) -> None:
    if values:
        c = t.rollout_devices.c
        row = update(t.rollout_devices).where(c.device == asked.device, c.rollout == asked.rollout)
        connection.execute(row.values(**values, updated_ms=now_ms))
