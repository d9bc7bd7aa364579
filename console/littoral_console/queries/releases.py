"""Releases that may run, and the rollouts that asked for them."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, select

from littoral.bundle.costs import Cost
from littoral.bundle.costs import costs as of_manifest
from littoral.bundle.manifest import Manifest
from littoral_console import tables as t
from littoral_console.outcomes import POSTPONED


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    model: str
    release: int
    label: str
    task: str
    manifest: str  # sha256
    length: int  # of the manifest
    size: int  # of its files, as they lie on a device
    hardware: tuple[str, ...]  # in the publisher's order of preference
    added_ms: int
    withdrawn: bool
    floor: int  # of the model: releases below it may not be newly activated
    running: int  # devices on which it answers requests
    files: tuple[ReleaseFile, ...]
    report: str | None  # the name of the file that is its report for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    id: int
    model: str
    release: int
    selector: str
    force: bool
    created_ms: int
    created_by: str
    outcomes: dict[str, int]  # devices by outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDevice:
    device: str
    hardware: str
    attempt: int
    outcome: str
    step: str  # the last event that the device reported
    state: str  # of the model after it; empty before the first
    until_ms: int | None  # when probation, or waiting, should end
    waits: str | None  # for what it goes on later: a code of littoral.errors
    code: str | None
    detail: str
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDetail:
    rollout: Rollout
    devices: tuple[RolloutDevice, ...]


def releases(connection: Connection, *, model: str | None = None) -> tuple[Release, ...]:
    """Return the releases, of one model or of all, newest first within a model."""
    found = select(t.releases).order_by(t.releases.c.model, t.releases.c.release.desc())
    if model is not None:
        found = found.where(t.releases.c.model == model)
    return _releases(connection, list(connection.execute(found)))


def release(connection: Connection, model: str, number: int) -> Release | None:
    """Return the release, None when there is no such one."""
    rows = connection.execute(
        select(t.releases).where(t.releases.c.model == model, t.releases.c.release == number)
    )
    found = _releases(connection, list(rows))
    return found[0] if found else None


def costs(connection: Connection, model: str, number: int) -> tuple[Cost, ...]:
    """Return what the release costs a device of each variant; nothing if there is none such."""
    c = t.releases.c
    rows = connection.execute(
        select(c.release, c.document).where(c.model == model, c.release <= number)
    )
    found = {row.release: Manifest.from_json(row.document) for row in rows}
    wanted = found.pop(number, None)
    return () if wanted is None else of_manifest(wanted, found.values())


def rollouts(connection: Connection, *, limit: int = 100) -> tuple[Rollout, ...]:
    """Return the newest rollouts, newest first."""
    rows = list(
        connection.execute(select(t.rollouts).order_by(t.rollouts.c.id.desc()).limit(limit))
    )
    return _rollouts(connection, rows)


def rollout(connection: Connection, number: int) -> RolloutDetail | None:
    """Return the rollout and how each of its devices fares, None when there is no such one."""
    rows = list(connection.execute(select(t.rollouts).where(t.rollouts.c.id == number)))
    if not rows:
        return None
    members = connection.execute(
        select(t.rollout_devices)
        .where(t.rollout_devices.c.rollout == number)
        .order_by(t.rollout_devices.c.device)
    )
    return RolloutDetail(
        rollout=_rollouts(connection, rows)[0],
        devices=tuple(
            RolloutDevice(
                device=row.device,
                hardware=row.hardware,
                attempt=row.attempt,
                outcome=row.outcome,
                step=row.step,
                state=row.state,
                until_ms=row.until_ms,
                waits=row.code if row.step == POSTPONED else None,
                code=row.code,
                detail=row.detail,
                updated_ms=row.updated_ms,
            )
            for row in members
        ),
    )


def _releases(connection: Connection, rows: list[Row[*tuple[object, ...]]]) -> tuple[Release, ...]:
    floors = {row.name: row.floor for row in connection.execute(select(t.models))}
    c = t.device_models.c
    running = {
        (row.model, row.release): row.devices
        for row in connection.execute(
            select(c.model, c.release, func.count().label("devices")).group_by(c.model, c.release)
        )
    }
    return tuple(
        _release(
            row,
            floor=floors.get(row.model, 0),
            running=running.get((row.model, row.release), 0),
        )
        for row in rows
    )


def _release(row: Row[*tuple[object, ...]], *, floor: int, running: int) -> Release:
    manifest = Manifest.from_json(row.document)
    return Release(
        model=row.model,
        release=row.release,
        label=row.label,
        task=row.task,
        manifest=row.manifest,
        length=row.length,
        size=row.size,
        hardware=tuple(row.hardware),
        added_ms=row.added_ms,
        withdrawn=row.withdrawn,
        floor=floor,
        running=running,
        files=tuple(
            ReleaseFile(name=name, sha256=file.sha256, size=file.size)
            for name, file in sorted(manifest.files.items())
        ),
        report=manifest.report,
    )


def _rollouts(connection: Connection, rows: list[Row[*tuple[object, ...]]]) -> tuple[Rollout, ...]:
    c = t.rollout_devices.c
    outcomes: defaultdict[int, Counter[str]] = defaultdict(Counter)
    counted = (
        select(c.rollout, c.outcome, func.count().label("devices"))
        .where(c.rollout.in_([row.id for row in rows]))
        .group_by(c.rollout, c.outcome)
    )
    for row in connection.execute(counted):
        outcomes[row.rollout][row.outcome] = row.devices
    return tuple(
        Rollout(
            id=row.id,
            model=row.model,
            release=row.release,
            selector=row.selector,
            force=row.force,
            created_ms=row.created_ms,
            created_by=row.created_by,
            outcomes=dict(outcomes[row.id]),
        )
        for row in rows
    )
