"""Who may come into the fleet: tokens, and the claims that wait for an operator."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from littoral_console import tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentToken:
    id: int
    device: str | None
    serial: str | None
    labels: dict[str, str]
    created_ms: int
    created_by: str
    expires_ms: int
    used_ms: int | None
    used_by: str | None


def enrolment_tokens(connection: Connection) -> tuple[EnrolmentToken, ...]:
    """Return every enrolment token, newest first; the secrets themselves are not kept."""
    rows = connection.execute(select(t.enrolment_tokens).order_by(t.enrolment_tokens.c.id.desc()))
    return tuple(
        EnrolmentToken(
            id=row.id,
            device=row.device,
            serial=row.serial,
            labels=row.labels,
            created_ms=row.created_ms,
            created_by=row.created_by,
            expires_ms=row.expires_ms,
            used_ms=row.used_ms,
            used_by=row.used_by,
        )
        for row in rows
    )
