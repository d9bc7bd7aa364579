"""What administrators do about people, and people about themselves: passwords, access, tokens.

Who somebody is and what a secret is worth is littoral_console.accounts.
"""

from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from littoral.errors import DeniedError, MisuseError, NotFoundError
from littoral_console import accounts, audit
from littoral_console import tables as t
from littoral_console.accounts import ADMINISTRATOR, Person

_DISABLED: Final = select(t.users.c.disabled_ms).where(t.users.c.name == bindparam("who"))


def change_password(
    connection: Connection,
    name: str,
    *,
    password_hash: str,
    who: str,
    now_ms: int,
    keep: str | None = None,
) -> None:
    """Replace a password; every session of that user ends, but the one of the secret ``keep``.

    API tokens go on: each is revoked by itself.

    Raises:
        NotFoundError: There is no such user.

    """
    number = _id(connection, name)
    connection.execute(update(t.users).where(t.users.c.id == number).values(password=password_hash))
    _end_sessions(connection, number, keep=keep)
    audit.record(connection, "user.password", who=who, subject=name, now_ms=now_ms)


def disable(connection: Connection, name: str, *, who: str, now_ms: int) -> None:
    """Let a user do nothing any more: no login, no session, no API token. Can be done twice.

    Raises:
        NotFoundError: There is no such user.
        MisuseError: It is oneself; so there is always an administrator who can log in.
        DeniedError: The one who asks was disabled a moment ago.

    """
    number = _id(connection, name)
    # Two who disable each other at once were both let in: the second is nobody by now.
    if connection.scalar(_DISABLED, {"who": who}) is not None:
        raise DeniedError(f"{who} was disabled by another administrator")
    if name == who:
        raise MisuseError("nobody disables himself; ask another administrator")
    row = update(t.users).where(t.users.c.id == number, t.users.c.disabled_ms.is_(None))
    if connection.execute(row.values(disabled_ms=now_ms)).rowcount:
        _end_sessions(connection, number)
        audit.record(connection, "user.disable", who=who, subject=name, now_ms=now_ms)


def enable(connection: Connection, name: str, *, who: str, now_ms: int) -> None:
    """Let a disabled user in again. Can be done twice. Raises NotFoundError."""
    number = _id(connection, name)
    row = update(t.users).where(t.users.c.id == number, t.users.c.disabled_ms.is_not(None))
    if connection.execute(row.values(disabled_ms=None)).rowcount:
        audit.record(connection, "user.enable", who=who, subject=name, now_ms=now_ms)


def revoke_token(connection: Connection, number: int, *, who: Person, now_ms: int) -> None:
    """Make an API token worthless: one's own, or as an administrator anybody's.

    Raises:
        NotFoundError: There is no such token that is one's business.

    """
    c = t.api_tokens.c
    found = select(c.name, c.revoked_ms, t.users.c.name.label("user")).join(t.users)
    if who.role != ADMINISTRATOR:
        found = found.where(c.user == who.id)
    row = connection.execute(found.where(c.id == number)).one_or_none()
    if row is None:
        raise NotFoundError(f"no API token {number}; see: littoral fleet api-tokens list")
    if row.revoked_ms is None:
        connection.execute(update(t.api_tokens).where(c.id == number).values(revoked_ms=now_ms))
        audit.record(
            connection,
            "token.revoke",
            who=who.name,
            subject=row.name,
            now_ms=now_ms,
            detail={"id": number, "user": row.user},
        )


def _id(connection: Connection, name: str) -> int:
    found = connection.scalar(select(t.users.c.id).where(t.users.c.name == name))
    if found is None:
        raise NotFoundError(f"no user {name[:64]!r}; see: littoral fleet users list")
    return int(found)


def _end_sessions(connection: Connection, user: int, *, keep: str | None = None) -> None:
    c = t.sessions.c
    ended = delete(t.sessions).where(c.user == user)
    if keep is not None:
        ended = ended.where(c.digest != accounts.digest(keep))
    connection.execute(ended)
