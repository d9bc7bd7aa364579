"""Devices: who they are, what they said last, what is wanted of them."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from littoral import records
from littoral.wire.board import Board
from littoral.wire.messages import Unreached
from littoral_console import tables as t
from littoral_console.queries.boards import BoardPoint, newest_boards
from littoral_console.queries.identities import Certificate, Happened, certificates, happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One model on a device, as the device reported it."""

    model: str
    state: str
    release: int | None  # what answers requests
    manifest: str | None
    variant: str | None
    good: int | None  # what is proven
    candidate: int | None
    waits: str | None = None  # why the candidate goes on later: a code of littoral.errors
    waits_until_ms: int | None = None
    done_bytes: int | None = None  # of the candidate's files, when the device said it last
    total_bytes: int | None = None
    since_ms: int  # all but the bytes is so


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a device shall run of one model, and how far that is."""

    model: str
    release: int
    hardware: str
    attempt: int
    rollout: int
    outcome: str  # littoral_console.outcomes.Outcome
    step: str
    code: str | None
    detail: str
    since_ms: int  # this is so
    met: bool  # it is proven on the device, and answers requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    id: str
    serial: str
    incarnation: int
    labels: dict[str, str]
    created_ms: int
    revoked_ms: int | None
    frozen_ms: int | None  # two processes spoke as this device in turn
    frozen_why: str | None
    rotate_ms: int | None  # since when a newer key is asked for
    online: bool
    last_seen_ms: int | None
    channel: str | None  # mqtt, https
    software: str
    hardware: tuple[str, ...]
    trust: str | None
    clock: str | None
    serving: bool
    director: int  # version of the document that it believes
    issued: int | None  # version of the newest that was signed for it
    board: Board | None  # what it runs on, as of its last status
    carried_ms: int | None = None  # when it said that, by its clock; None: not by a receipt
    brought_ms: int | None = None  # when that receipt was brought here
    unreached: Unreached | None = None  # why what is wanted does not come, as of its last status
    models: tuple[Running, ...]
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incarnation:
    incarnation: int
    certificate: str  # its serial number, hex
    certificate_sha256: str
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How complete a device's reports or telemetry are."""

    incarnation: int
    stream: str
    acked: int
    highest: int
    lost: int  # what the device had to drop before it could be sent


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDetail:
    device: Device
    board: BoardPoint | None  # the last window that it told
    incarnations: tuple[Incarnation, ...]
    certificates: tuple[Certificate, ...]
    identity: tuple[Happened, ...]  # what was done about who it is
    streams: tuple[Stream, ...]


def devices(connection: Connection, *, only: str | None = None) -> tuple[Device, ...]:
    """Return every device by name, or the one called ``only``."""
    rows = (
        select(t.devices, t.director.c.version.label("issued"))
        .outerjoin(t.director, t.director.c.device == t.devices.c.id)
        .order_by(t.devices.c.id)
    )
    running = select(t.device_models).order_by(t.device_models.c.model)
    wanted = (
        select(
            t.desired,
            t.rollout_devices.c.outcome,
            t.rollout_devices.c.step,
            t.rollout_devices.c.code,
            t.rollout_devices.c.detail,
            t.rollout_devices.c.updated_ms,
        )
        .join(
            t.rollout_devices,
            (t.rollout_devices.c.rollout == t.desired.c.rollout)
            & (t.rollout_devices.c.device == t.desired.c.device),
        )
        .order_by(t.desired.c.model)
    )
    if only is not None:
        rows = rows.where(t.devices.c.id == only)
        running = running.where(t.device_models.c.device == only)
        wanted = wanted.where(t.desired.c.device == only)
    runs: defaultdict[str, list[Running]] = defaultdict(list)
    for row in connection.execute(running):
        runs[row.device].append(_running(row))
    wants: defaultdict[str, list[Wanted]] = defaultdict(list)
    for row in connection.execute(wanted):
        answers = {one.model: one.release for one in runs[row.device]}
        wants[row.device].append(_wanted(row, runs=answers.get(row.model)))
    return tuple(
        _device(row, tuple(runs[row.id]), tuple(wants[row.id])) for row in connection.execute(rows)
    )


def device(connection: Connection, name: str) -> DeviceDetail | None:
    """Return all that is known about the device, None when there is none of that name."""
    found = devices(connection, only=name)
    if not found:
        return None
    incarnations = connection.execute(
        select(t.incarnations)
        .where(t.incarnations.c.device == name)
        .order_by(t.incarnations.c.incarnation.desc())
    )
    streams = connection.execute(
        select(t.streams)
        .where(t.streams.c.device == name)
        .order_by(t.streams.c.incarnation.desc(), t.streams.c.stream)
    )
    return DeviceDetail(
        device=found[0],
        board=newest_boards(connection, [name]).get(name),
        incarnations=tuple(
            Incarnation(
                incarnation=row.incarnation,
                certificate=row.certificate,
                certificate_sha256=row.certificate_sha256,
                created_ms=row.created_ms,
            )
            for row in incarnations
        ),
        certificates=certificates(connection, name),
        identity=happened(connection, name),
        streams=tuple(
            Stream(
                incarnation=row.incarnation,
                stream=row.stream,
                acked=row.acked,
                highest=row.highest,
                lost=row.lost,
            )
            for row in streams
        ),
    )


def _running(row: Row[*tuple[object, ...]]) -> Running:
    return Running(
        model=row.model,
        state=row.state,
        release=row.release,
        manifest=row.manifest,
        variant=row.variant,
        good=row.good,
        candidate=row.candidate,
        waits=row.waits,
        waits_until_ms=row.waits_until_ms,
        done_bytes=row.done_bytes,
        total_bytes=row.total_bytes,
        since_ms=row.since_ms,
    )


def _wanted(row: Row[*tuple[Any, ...]], *, runs: int | None) -> Wanted:
    return Wanted(
        model=row.model,
        release=row.release,
        hardware=row.hardware,
        attempt=row.attempt,
        rollout=row.rollout,
        outcome=row.outcome,
        step=row.step,
        code=row.code,
        detail=row.detail,
        since_ms=row.updated_ms,
        met=row.outcome == "healthy" and row.release == runs,
    )


def _board(kept: object) -> Board | None:
    try:
        return None if kept is None else records.fill(Board, kept)
    except records.RecordError:  # of another version
        return None


def _unreached(kept: object) -> Unreached | None:
    try:
        return None if kept is None else records.fill(Unreached, kept)
    except records.RecordError:  # of another version
        return None


def _device(
    row: Row[*tuple[object, ...]], models: tuple[Running, ...], wanted: tuple[Wanted, ...]
) -> Device:
    return Device(
        id=row.id,
        serial=row.serial,
        incarnation=row.incarnation,
        labels=row.labels,
        created_ms=row.created_ms,
        revoked_ms=row.revoked_ms,
        frozen_ms=row.frozen_ms,
        frozen_why=row.frozen_why,
        rotate_ms=row.rotate_ms,
        online=row.online,
        last_seen_ms=row.last_seen_ms,
        channel=row.channel,
        software=row.software,
        hardware=tuple(row.hardware),
        trust=row.trust,
        clock=row.clock,
        serving=row.serving,
        director=row.director,
        issued=row.issued,
        board=_board(row.board),
        carried_ms=row.carried_ms,
        brought_ms=row.brought_ms,
        unreached=_unreached(row.unreached),
        models=models,
        wanted=wanted,
    )
