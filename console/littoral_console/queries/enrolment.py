"""Who may come into the fleet: tokens, and the claims that wait for an operator."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from littoral.trust.identity import fingerprint
from littoral_console import claims
from littoral_console import tables as t

_MOST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentToken:
    id: int
    device: str | None
    serial: str | None
    labels: dict[str, str]
    approve: bool  # an operator decides on the claim
    created_ms: int
    created_by: str
    expires_ms: int
    used_ms: int | None
    used_by: str | None
    claim: int | None
    claim_state: str | None  # littoral_console.claims.State

    def open(self, now_ms: int) -> bool:
        """Return whether it may still admit somebody."""
        if self.claim_state is not None:
            return claims.State(self.claim_state) in claims.OPEN
        return self.used_ms is None and self.expires_ms > now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A board that asked by a token which needs an operator's word."""

    id: int
    token: int
    device: str
    serial: str
    fingerprint: str  # of its key, as the board shows it
    hardware: tuple[str, ...]
    software: str
    address: str
    asked_ms: int
    seen_ms: int
    state: str  # littoral_console.claims.State
    decided_ms: int | None
    decided_by: str | None
    created_by: str  # who made the token
    incarnation: int | None  # of the device that bears this name now


def enrolment_tokens(connection: Connection) -> tuple[EnrolmentToken, ...]:
    """Return every enrolment token, newest first; the secrets themselves are not kept."""
    rows = connection.execute(
        select(
            t.enrolment_tokens,
            t.claims.c.id.label("claim"),
            t.claims.c.state.label("claim_state"),
        )
        .join(t.claims, t.claims.c.token == t.enrolment_tokens.c.id, isouter=True)
        .order_by(t.enrolment_tokens.c.id.desc())
    )
    return tuple(
        EnrolmentToken(
            id=row.id,
            device=row.device,
            serial=row.serial,
            labels=row.labels,
            approve=row.approve,
            created_ms=row.created_ms,
            created_by=row.created_by,
            expires_ms=row.expires_ms,
            used_ms=row.used_ms,
            used_by=row.used_by,
            claim=row.claim,
            claim_state=row.claim_state,
        )
        for row in rows
    )


def claims_made(
    connection: Connection, *, state: str | None = None, only: int | None = None
) -> tuple[Claim, ...]:
    """Return the latest claims, newest first: those in ``state``, or the one of that number."""
    c = t.claims.c
    asked = (
        select(t.claims, t.enrolment_tokens.c.created_by, t.devices.c.incarnation)
        .join(t.enrolment_tokens, t.enrolment_tokens.c.id == c.token)
        .join(t.devices, t.devices.c.id == c.device, isouter=True)
        .order_by(c.id.desc())
        .limit(_MOST)
    )
    if state is not None:
        asked = asked.where(c.state == state)
    if only is not None:
        asked = asked.where(c.id == only)
    return tuple(_claim(row) for row in connection.execute(asked))


def claims_waiting(connection: Connection) -> int:
    """Return how many boards wait for an operator."""
    waiting = t.claims.c.state == claims.State.WAITING.value
    return int(connection.scalar(select(func.count()).select_from(t.claims).where(waiting)) or 0)


def _claim(row: Row[*tuple[Any, ...]]) -> Claim:
    return Claim(
        id=row.id,
        token=row.token,
        device=row.device,
        serial=row.serial,
        fingerprint=fingerprint(row.key),
        hardware=tuple(row.hardware),
        software=row.software,
        address=row.address,
        asked_ms=row.asked_ms,
        seen_ms=row.seen_ms,
        state=row.state,
        decided_ms=row.decided_ms,
        decided_by=row.decided_by,
        created_by=row.created_by,
        incarnation=row.incarnation,
    )
