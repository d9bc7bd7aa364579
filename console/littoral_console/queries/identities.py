"""A device's certificates, which of them counts, and what was done about who it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from sqlalchemy import Connection, Row, select

from littoral_console import tables as t

Standing = Literal["present", "waiting", "superseded"]

_ACTIONS = (
    "device.enroll",
    "device.revoke",
    "device.freeze",
    "device.thaw",
    "device.rotate",
    "device.renew",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate; the device's first of an incarnation, or one of a newer key."""

    incarnation: int
    certificate: str  # its serial number, hex
    issued_ms: int
    ends_ms: int | None  # None: only its number is kept
    standing: Standing  # waiting: the device was not heard by it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What was done about who a device is."""

    time_ms: int
    who: str
    action: str  # device.enroll, device.revoke, …
    why: str


def certificates(connection: Connection, device: str) -> tuple[Certificate, ...]:
    """Return every certificate of the device, the newest first."""
    i = t.incarnations.c
    rows = connection.execute(select(t.incarnations).where(i.device == device)).all()
    newest = max((row.incarnation for row in rows), default=0)
    found = [
        one
        for row in rows
        for one in _of_incarnation(connection, row, counts=row.incarnation == newest)
    ]
    return tuple(sorted(found, key=lambda one: (one.incarnation, one.issued_ms), reverse=True))


def _of_incarnation(
    connection: Connection, row: Row[*tuple[Any, ...]], *, counts: bool
) -> Iterator[Certificate]:
    r = t.renewals.c
    renewals = connection.execute(
        select(t.renewals)
        .where(r.device == row.device, r.incarnation == row.incarnation)
        .order_by(r.issued_ms)
    ).all()
    first = next((one.replaced for one in renewals if one.replaced), row.certificate)
    chains = {one.certificate: one.chain for one in (*renewals, row)}
    waiting = {one.certificate for one in renewals if not one.heard_ms and not one.dropped_ms}
    issued = [(first, row.created_ms), *((one.certificate, one.issued_ms) for one in renewals)]
    for number, issued_ms in issued:
        standing: Standing = "superseded"
        if counts and number == row.certificate:
            standing = "present"
        elif counts and number in waiting:
            standing = "waiting"
        yield Certificate(
            incarnation=row.incarnation,
            certificate=number,
            issued_ms=issued_ms,
            ends_ms=_ends_ms(chains.get(number)),
            standing=standing,
        )


def happened(connection: Connection, device: str, *, limit: int = 20) -> tuple[Happened, ...]:
    """Return what was done about who the device is, newest first."""
    c = t.audit.c
    rows = connection.execute(
        select(t.audit)
        .where(c.subject == device, c.action.in_(_ACTIONS))
        .order_by(c.id.desc())
        .limit(limit)
    )
    return tuple(
        Happened(
            time_ms=row.time_ms,
            who=row.who,
            action=row.action,
            why=str(row.detail.get("why", "")),
        )
        for row in rows
    )


def _ends_ms(chain: str | None) -> int | None:
    if chain is None:
        return None
    leaf = x509.load_pem_x509_certificates(chain.encode())[0]
    return int(leaf.not_valid_after_utc.timestamp() * 1000)
