"""Whether a device is still one: ended, frozen, thawed, asked for a newer key, and how it is told.

docs/identity.md has the states. Each order is one transaction with its entry in the log; who
makes brokers and waiting requests feel it is the caller.
"""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from littoral import records
from littoral.errors import (
    DeniedError,
    FrozenError,
    LittoralError,
    MisuseError,
    NotFoundError,
    RevokedError,
    SupersededError,
)
from littoral_console import audit
from littoral_console import tables as t
from littoral_console.clones import Sightings, see

# What another incarnation of a device begins with: nothing of the earlier one holds for it.
ANEW: Final[dict[str, None]] = dict.fromkeys(
    (
        *("revoked_ms", "frozen_ms", "frozen_why", "sightings", "rotate_ms", "renewal"),
        *("receipts", "carried_ms", "brought_ms"),
    )
)


def state(connection: Connection, device: str) -> Row[*tuple[Any, ...]] | None:
    """Return what decides about the device, None when there is none of that name."""
    d = t.devices.c
    columns = (d.id, d.incarnation, d.revoked_ms, d.frozen_ms, d.frozen_why)
    return connection.execute(
        select(*columns, d.sightings, d.rotate_ms, d.renewal, d.receipts).where(d.id == device)
    ).one_or_none()


def check(
    connection: Connection, device: str, incarnation: int, *, certificate: int | None = None
) -> None:
    """Return if who proved to be this may speak; ``certificate`` is the serial number it showed.

    Raises:
        RevokedError, FrozenError, SupersededError: It may not; why.
        DeniedError: There is no such device.

    """
    if (error := denial(state(connection, device), device, incarnation)) is not None:
        raise error
    if certificate is not None and superseded(connection, device, certificate):
        raise SupersededError(
            f"{device}: this certificate was replaced by a newer one; if this is the board, and "
            "its card was restored from a backup, enrol it anew"
        )


def denial(
    held: Row[*tuple[Any, ...]] | None, device: str, incarnation: int
) -> LittoralError | None:
    """Return why ``device`` in ``incarnation`` is heard no more, None when it is heard."""
    if held is None:
        return DeniedError(f"{device}: this console knows no such device; enrol it")
    if incarnation < held.incarnation:
        return SupersededError(
            f"{device} was enrolled anew as incarnation {held.incarnation}, and this is "
            f"{incarnation}; if this is the board, enrol it anew"
        )
    if incarnation > held.incarnation:
        return DeniedError(f"{device}: this console knows no incarnation {incarnation}; enrol it")
    if held.revoked_ms is not None:
        return RevokedError(
            f"{device} was revoked by an operator; a token made for its name brings it back: "
            "run 'littoral enroll' with one"
        )
    if held.frozen_ms is not None:
        return FrozenError(
            f"{device} is frozen: {held.frozen_why}; an operator thaws it, or makes a token for "
            "its name to enrol the board anew"
        )
    return None


def is_heard(connection: Connection, device: str) -> bool:
    """Return whether there is such a device, and it is neither revoked nor frozen."""
    held = state(connection, device)
    return held is not None and standing(held) == "enrolled"


def superseded(connection: Connection, device: str, certificate: int) -> bool:
    """Return whether a newer certificate took the place of the one of this serial number."""
    c, number = t.renewals.c, f"{certificate:x}"
    ended = (c.heard_ms.is_not(None) & (c.replaced == number)) | (
        c.dropped_ms.is_not(None) & (c.certificate == number)
    )
    return connection.scalar(select(c.device).where(c.device == device, ended).limit(1)) is not None


def sighted(
    connection: Connection, held: Row[*tuple[Any, ...]], instance: str, *, now_ms: int
) -> bool:
    """Take note of which process of the device speaks; return whether that freezes the device."""
    before = _sightings(held.sightings)
    seen = see(before, instance, now_ms=now_ms)
    if seen is before:
        return False
    row = update(t.devices).where(t.devices.c.id == held.id)
    connection.execute(row.values(sightings=records.plain(seen)))
    if not seen.cloned:
        return False
    freeze(connection, held.id, why=seen.words, who="console", now_ms=now_ms)
    return True


def _sightings(kept: object) -> Sightings:
    try:
        return Sightings() if kept is None else records.fill(Sightings, kept, "sightings")
    except records.RecordError:
        return Sightings()  # an older console's: they are of ten minutes


def revoke(connection: Connection, device: str, *, who: str, now_ms: int) -> None:
    """End the device's identity. Can be done twice. Raises NotFoundError."""
    must_exist(connection, device)
    d = t.devices.c
    ended = update(t.devices).where(d.id == device, d.revoked_ms.is_(None))
    if connection.execute(ended.values(revoked_ms=now_ms, online=False)).rowcount:
        audit.record(connection, "device.revoke", who=who, subject=device, now_ms=now_ms)


def freeze(connection: Connection, device: str, *, why: str, who: str, now_ms: int) -> None:
    """Deny the device everything until somebody has looked."""
    d = t.devices.c
    frozen = update(t.devices).where(d.id == device, d.frozen_ms.is_(None))
    values = {"frozen_ms": now_ms, "frozen_why": why, "online": False}
    if connection.execute(frozen.values(**values)).rowcount:
        audit.record(
            connection,
            "device.freeze",
            who=who,
            subject=device,
            now_ms=now_ms,
            detail={"why": why},
        )


def thaw(connection: Connection, device: str, *, who: str, now_ms: int) -> None:
    """Hear the device again, and forget which processes were heard. Can be done twice.

    Raises:
        NotFoundError: There is no such device.
        MisuseError: It was revoked: thawing does not bring it back.

    """
    held = must_exist(connection, device)
    if held.revoked_ms is not None:
        raise MisuseError(f"{device} is revoked; a token made for its name brings it back")
    if held.frozen_ms is None:
        return
    row = update(t.devices).where(t.devices.c.id == device)
    connection.execute(row.values(frozen_ms=None, frozen_why=None, sightings=None))
    audit.record(connection, "device.thaw", who=who, subject=device, now_ms=now_ms)


def rotate(connection: Connection, devices: Iterable[str], *, who: str, now_ms: int) -> None:
    """Ask each device for a newer key. Can be done twice.

    Raises:
        NotFoundError: There is no such device.
        MisuseError: It is revoked or frozen, and hears nothing.

    """
    for device in devices:
        held = must_exist(connection, device)
        if held.revoked_ms is not None or held.frozen_ms is not None:
            heal = "enrol it anew" if held.revoked_ms is not None else "thaw it, or enrol it anew"
            raise MisuseError(f"{device} is {standing(held)}, and hears nothing; {heal}")
        row = update(t.devices).where(t.devices.c.id == device)
        connection.execute(row.values(rotate_ms=now_ms))
        audit.record(connection, "device.rotate", who=who, subject=device, now_ms=now_ms)


def standing(held: Row[*tuple[Any, ...]]) -> str:
    """Return the word for it: revoked, frozen or enrolled."""
    if held.revoked_ms is not None:
        return "revoked"
    return "frozen" if held.frozen_ms is not None else "enrolled"


def must_exist(connection: Connection, device: str) -> Row[*tuple[Any, ...]]:
    """Return what decides about the device. Raises NotFoundError."""
    held = state(connection, device)
    if held is None:
        raise NotFoundError(f"no device {device[:64]!r}; see: littoral fleet devices")
    return held
