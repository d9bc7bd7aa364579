"""Tokens that admit boards: made, shown once, revoked. Who may use one is judged by enrolment."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, update

from littoral.bundle.manifest import check_id
from littoral.errors import MisuseError, NotFoundError
from littoral_console import audit, claims
from littoral_console import tables as t
from littoral_console.accounts import digest

DAY_MS: Final = 24 * 3600 * 1000
_SERIAL: Final = 128
SERIALS: Final = f"a board's serial number has 1 to {_SERIAL} printable characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token as it is made: afterwards nobody knows the secret."""

    number: int
    secret: str


def new_token(
    connection: Connection,
    *,
    who: str,
    now_ms: int,
    lives_ms: int = DAY_MS,
    device: str | None = None,
    serial: str | None = None,
    labels: Mapping[str, str] | None = None,
    approve: bool = False,
) -> NewToken:
    """Return a new enrolment token, which works once. Raises MisuseError."""
    if lives_ms <= 0:
        raise MisuseError(f"expected a token's life above zero, found {lives_ms} ms")
    secret = secrets.token_urlsafe(32)
    try:
        name = None if device is None else check_id("device", device)
    except ValueError as e:
        raise MisuseError(str(e)) from e
    if serial is not None and not is_serial(serial):
        raise MisuseError(SERIALS)
    made = connection.execute(
        insert(t.enrolment_tokens)
        .values(
            digest=digest(secret),
            device=name,
            serial=serial,
            labels=check_labels(labels or {}),
            approve=approve,
            created_ms=now_ms,
            created_by=who,
            expires_ms=now_ms + lives_ms,
        )
        .returning(t.enrolment_tokens.c.id)
    )
    audit.record(
        connection,
        "enrolment-token.new",
        who=who,
        subject=device or "any device",
        now_ms=now_ms,
        detail={
            "serial": serial,
            "labels": dict(labels or {}),
            "lives_s": lives_ms // 1000,
            "approve": approve,
        },
    )
    return NewToken(number=int(made.scalar_one()), secret=secret)


def revoke_token(connection: Connection, number: int, *, who: str, now_ms: int) -> None:
    """Make an enrolment token worthless, and the claim by it. Can be done twice.

    Raises:
        NotFoundError: There is no such token.

    """
    c = t.enrolment_tokens.c
    # The token first, then its claim: as enrolment takes them, or both would wait for ever.
    if connection.scalar(select(c.id).where(c.id == number).with_for_update()) is None:
        raise NotFoundError(f"no enrolment token {number}; see: littoral fleet tokens list")
    claim = claims.of(connection, number)
    if claim is not None and claims.State(claim.state) in claims.OPEN:
        claims.decide(connection, claim.id, claims.Event.REFUSE, who=who, now_ms=now_ms)
    done = connection.execute(
        update(t.enrolment_tokens)
        .where(c.id == number, c.used_ms.is_(None), c.expires_ms > now_ms)
        .values(expires_ms=now_ms)
    )
    if done.rowcount:
        audit.record(
            connection, "enrolment-token.revoke", who=who, subject=f"token {number}", now_ms=now_ms
        )


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return ``labels`` if selectors can speak of them. Raises MisuseError."""
    from littoral_console.selectors import KEYS, WORD

    for name, value in labels.items():
        if not WORD.fullmatch(name) or not WORD.fullmatch(value) or name in KEYS:
            raise MisuseError(
                f"label {name}={value}: expected words of letters, digits and '._:-', "
                f"and a name other than {', '.join(KEYS)}"
            )
    return dict(labels)


def is_serial(text: str) -> bool:
    """Return whether a board's serial number may be so."""
    return 1 <= len(text) <= _SERIAL and text.isprintable()
