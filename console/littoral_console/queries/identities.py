"""A device's certificates, which of them counts, and what was done about who it is."""

from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from sqlalchemy import Connection, select

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
    i, r = t.incarnations.c, t.renewals.c
    incarnations = connection.execute(select(t.incarnations).where(i.device == device)).all()
    newest = max((row.incarnation for row in incarnations), default=0)
    found: list[Certificate] = []
    for row in incarnations:
        renewals = connection.execute(
            select(t.renewals)
            .where(r.device == device, r.incarnation == row.incarnation)
            .order_by(r.issued_ms)
        ).all()
        counts = row.incarnation == newest
        first = next((one.replaced for one in renewals if one.replaced), row.certificate)
        whole = {one.certificate: one.chain for one in (*renewals, row)}
        waiting = {one.certificate for one in renewals if not one.heard_ms and not one.dropped_ms}
        for number, issued_ms in (
            (first, row.created_ms),
            *((one.certificate, one.issued_ms) for one in renewals),
        ):
            standing: Standing = "superseded"
            if counts and number == row.certificate:
                standing = "present"
            elif counts and number in waiting:
                standing = "waiting"
            found.append(
                Certificate(
                    incarnation=row.incarnation,
                    certificate=number,
                    issued_ms=issued_ms,
                    ends_ms=_ends_ms(whole.get(number)),
                    standing=standing,
                )
            )
    return tuple(sorted(found, key=lambda one: (one.incarnation, one.issued_ms), reverse=True))


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
