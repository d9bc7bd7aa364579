"""Asks devices for a release: who is meant, who has the hardware, and what is signed to each.

What becomes of it is what devices report: littoral_console.outcomes.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from littoral.bundle.manifest import Manifest
from littoral.errors import FloorError, NotFoundError, WrongHardwareError
from littoral.wire.journal import State
from littoral_console import audit, queries, selectors
from littoral_console import tables as t
from littoral_console.database import put
from littoral_console.director import Director
from littoral_console.outcomes import ASKED, BAD, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asks for."""

    model: str
    release: int
    to: str = "all"  # littoral_console.selectors
    force: bool = False  # also where no variant fits, or below the floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    rollout: int
    asked: tuple[str, ...]  # devices whose document is a new one


def push(
    connection: Connection, order: Order, *, director: Director, who: str, now_ms: int
) -> Pushed:
    """Make the devices that ``order`` means want its release, and sign it to each of them.

    A device that has no hardware for it is not asked: its outcome is ``refused`` at once.

    Raises:
        NotFoundError: There is no such release, or no such device.
        MisuseError: ``order.to`` is no selector.
        FloorError: It may not be newly activated.

    """
    release = _release(connection, order)
    meant = selectors.parse(order.to)
    devices = [d for d in queries.devices(connection) if d.revoked_ms is None and meant(d)]
    if not devices:
        raise NotFoundError(f"no device is meant by {order.to!r}; see: littoral fleet devices")
    number = _open(connection, order, who=who, now_ms=now_ms)
    asked = []
    for device in devices:
        hardware = fitting(release.hardware, device.hardware)
        if hardware is None and not order.force:
            _refuse(connection, number, device=device, release=release, now_ms=now_ms)
            continue
        _ask(
            connection,
            number,
            device=device,
            release=release,
            hardware=hardware or release.hardware[0],
            now_ms=now_ms,
        )
        director.issue(connection, device.id, now_ms=now_ms)
        asked.append(device.id)
    return Pushed(rollout=number, asked=tuple(asked))


def fitting(preferred: Collection[str], has: Collection[str]) -> str | None:
    """Return the first of the publisher's hardware names that the device has."""
    return next((name for name in preferred if name in has), None)


def preference(manifest: Manifest) -> tuple[str, ...]:
    """Return every hardware name of the manifest, in the publisher's order of preference."""
    names = (name for variant in manifest.variants for name in variant.requires.hardware)
    return tuple(dict.fromkeys(names))


def _release(connection: Connection, order: Order) -> queries.Release:
    found = queries.release(connection, order.model, order.release)
    if found is None or found.withdrawn:
        raise NotFoundError(
            f"no release {order.model}:{order.release} here; "
            "see: littoral fleet releases list, or upload it"
        )
    if order.release < found.floor and not order.force:
        raise FloorError(order.model, release=order.release, floor=found.floor)
    return found


def _open(connection: Connection, order: Order, *, who: str, now_ms: int) -> int:
    done = connection.execute(
        insert(t.rollouts)
        .values(
            model=order.model,
            release=order.release,
            selector=order.to,
            force=order.force,
            created_ms=now_ms,
            created_by=who,
        )
        .returning(t.rollouts.c.id)
    )
    number = int(done.scalar_one())
    audit.record(
        connection,
        "push",
        who=who,
        subject=f"{order.model}:{order.release}",
        now_ms=now_ms,
        detail={"to": order.to, "force": order.force, "rollout": number},
    )
    return number


def _refuse(
    connection: Connection,
    number: int,
    *,
    device: queries.Device,
    release: queries.Release,
    now_ms: int,
) -> None:
    has = ", ".join(device.hardware) or "no hardware that it knows"
    connection.execute(
        insert(t.rollout_devices).values(
            rollout=number,
            device=device.id,
            hardware="",
            attempt=0,
            outcome=Outcome.REFUSED,
            step="console",
            state="",
            code=WrongHardwareError.code,
            detail=f"the release is for {', '.join(release.hardware)}; this device has {has}",
            updated_ms=now_ms,
        )
    )


def _ask(
    connection: Connection,
    number: int,
    *,
    device: queries.Device,
    release: queries.Release,
    hardware: str,
    now_ms: int,
) -> None:
    c, d = t.rollout_devices.c, t.desired.c
    attempt = _attempt(connection, device.id, release)
    before = select(d.rollout).where(d.device == device.id, d.model == release.model)
    connection.execute(
        update(t.rollout_devices)
        .where(
            c.device == device.id,
            c.rollout == before.scalar_subquery(),
            c.outcome == Outcome.PENDING,
        )
        .values(outcome=Outcome.SUPERSEDED, updated_ms=now_ms)
    )
    proven = any(
        m.model == release.model
        and m.state == State.IDLE
        and m.manifest == release.manifest
        and m.good == m.release == release.release
        for m in device.models
    )
    connection.execute(
        insert(t.rollout_devices).values(
            rollout=number,
            device=device.id,
            hardware=hardware,
            attempt=attempt,
            outcome=Outcome.HEALTHY if proven else Outcome.PENDING,
            step=ASKED,
            state="",
            detail="",
            updated_ms=now_ms,
        )
    )
    row = {
        "device": device.id,
        "model": release.model,
        "release": release.release,
        "manifest": release.manifest,
        "length": release.length,
        "hardware": hardware,
        "attempt": attempt,
        "rollout": number,
    }
    put(connection, t.desired, row)


def _attempt(connection: Connection, device: str, release: queries.Release) -> int:
    """Return one more than the last attempt at this release if that went badly, else the same.

    A device tries quarantined bytes again only under a greater one: a person asked again.
    """
    c, r = t.rollout_devices.c, t.rollouts.c
    last = connection.execute(
        select(c.attempt, c.outcome)
        .join(t.rollouts, r.id == c.rollout)
        .where(
            c.device == device,
            r.model == release.model,
            r.release == release.release,
            c.hardware != "",
        )
        .order_by(r.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return 0
    return int(last.attempt) + (last.outcome in BAD)
