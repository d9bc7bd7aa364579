"""Who may use the console, and by which API tokens."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from littoral_console import tables as t


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    name: str
    role: str  # littoral_console.accounts.Role
    created_ms: int
    disabled_ms: int | None
    tokens: int  # API tokens that are neither revoked nor over


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    id: int
    user: str
    name: str
    created_ms: int
    expires_ms: int | None
    used_ms: int | None  # the last time, to the minute
    revoked_ms: int | None


def users(connection: Connection, *, now_ms: int) -> tuple[User, ...]:
    """Return every user, by name."""
    u, c = t.users.c, t.api_tokens.c
    living = c.revoked_ms.is_(None) & (c.expires_ms.is_(None) | (c.expires_ms > now_ms))
    rows = connection.execute(
        select(t.users, func.count(c.id).label("tokens"))
        .outerjoin(t.api_tokens, (c.user == u.id) & living)
        .group_by(u.id)
        .order_by(u.name)
    )
    return tuple(
        User(
            name=row.name,
            role=row.role,
            created_ms=row.created_ms,
            disabled_ms=row.disabled_ms,
            tokens=row.tokens,
        )
        for row in rows
    )


def api_tokens(connection: Connection, *, of: int | None = None) -> tuple[ApiToken, ...]:
    """Return API tokens, newest first: of one user by number, or of all."""
    c = t.api_tokens.c
    found = select(t.api_tokens, t.users.c.name.label("owner")).join(t.users).order_by(c.id.desc())
    if of is not None:
        found = found.where(c.user == of)
    return tuple(
        ApiToken(
            id=row.id,
            user=row.owner,
            name=row.name,
            created_ms=row.created_ms,
            expires_ms=row.expires_ms,
            used_ms=row.used_ms,
            revoked_ms=row.revoked_ms,
        )
        for row in connection.execute(found)
    )
