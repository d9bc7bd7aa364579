"""What happened: on the devices, and in the console."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from littoral_console import tables as t
from littoral_console.outcomes import POSTPONED


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One report of a device; the fields of an update are None in a report of another kind."""

    id: int
    device: str
    incarnation: int
    time_ms: int  # by the device's clock
    received_ms: int
    kind: str
    detail: str
    model: str | None
    event: str | None
    state: str | None
    release: int | None  # the candidate's
    manifest: str | None
    good: int | None
    running: int | None
    code: str | None  # why it was refused or failed
    figures: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a person or the console did."""

    id: int
    time_ms: int
    who: str
    action: str
    subject: str
    detail: dict[str, Any]
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The fleet in one line."""

    fleet: str
    devices: int
    online: int
    revoked: int
    models: int
    releases: int
    pending: int  # device updates that are asked for and have not ended
    refused: int  # devices on which the latest update that was asked for did not take
    lost: int  # messages that devices had to drop


def history(
    connection: Connection,
    *,
    device: str | None = None,
    model: str | None = None,
    kind: str | None = None,
    code: str | None = None,
    refused: bool = False,
    before: int | None = None,
    limit: int = 100,
) -> tuple[Change, ...]:
    """Return the newest reports, newest first, of those that are asked for.

    ``refused`` are those with a reason code, but for what merely waits.
    """
    c = t.reports.c
    found = select(t.reports).order_by(c.id.desc()).limit(limit)
    if device is not None:
        found = found.where(c.device == device)
    if model is not None:
        found = found.where(c.model == model)
    if kind is not None:
        found = found.where(c.kind == kind)
    if code is not None:
        found = found.where(c.code == code)
    if refused:
        found = found.where(c.code.is_not(None), c.event.is_distinct_from(POSTPONED))
    if before is not None:
        found = found.where(c.id < before)
    return tuple(_change(row) for row in connection.execute(found))


def audit(
    connection: Connection, *, before: int | None = None, limit: int = 100
) -> tuple[Entry, ...]:
    """Return the newest entries of the audit log, newest first."""
    found = select(t.audit).order_by(t.audit.c.id.desc()).limit(limit)
    if before is not None:
        found = found.where(t.audit.c.id < before)
    return tuple(
        Entry(
            id=row.id,
            time_ms=row.time_ms,
            who=row.who,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
            chain=row.chain,
        )
        for row in connection.execute(found)
    )


def fleet_name(connection: Connection) -> str:
    """Return the fleet's name as root states it; empty before a root was uploaded."""
    found = connection.scalar(select(t.settings.c.value).where(t.settings.c.name == "fleet"))
    return str(found or "")


def summary(connection: Connection) -> Summary:
    """Count the fleet."""
    d, w = t.devices.c, t.rollout_devices.c
    latest = t.desired.join(
        t.rollout_devices,
        (w.rollout == t.desired.c.rollout) & (w.device == t.desired.c.device),
    )
    outcomes: dict[str, int] = {
        row.outcome: row.many
        for row in connection.execute(
            select(w.outcome, func.count().label("many")).select_from(latest).group_by(w.outcome)
        )
    }
    return Summary(
        fleet=fleet_name(connection),
        devices=_count(connection, t.devices),
        online=_count(connection, t.devices, d.online, d.revoked_ms.is_(None)),
        revoked=_count(connection, t.devices, d.revoked_ms.is_not(None)),
        models=_count(connection, t.models),
        releases=_count(connection, t.releases, t.releases.c.withdrawn.is_(False)),
        pending=outcomes.get("pending", 0),
        refused=outcomes.get("refused", 0) + outcomes.get("failed", 0),
        lost=int(connection.scalar(select(func.coalesce(func.sum(t.streams.c.lost), 0))) or 0),
    )


def _count(connection: Connection, table: Table, *where: Any) -> int:  # noqa: ANN401
    return int(connection.scalar(select(func.count()).select_from(table).where(*where)) or 0)


def _change(row: Row[*tuple[object, ...]]) -> Change:
    return Change(
        id=row.id,
        device=row.device,
        incarnation=row.incarnation,
        time_ms=row.time_ms,
        received_ms=row.received_ms,
        kind=row.kind,
        detail=row.detail,
        model=row.model,
        event=row.event,
        state=row.state,
        release=row.release,
        manifest=row.manifest,
        good=row.good,
        running=row.running,
        code=row.code,
        figures=row.figures,
    )
