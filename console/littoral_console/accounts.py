"""People: their passwords, API tokens and sessions. Only digests of secrets are kept.

A password is hashed by argon2, which takes a while on purpose: never in the writer's thread.
"""

import hmac
import secrets
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from littoral.errors import DeniedError, MisuseError
from littoral_console import audit
from littoral_console import tables as t

Role = Literal["administrator", "viewer"]
ADMINISTRATOR: Final = "administrator"

SESSION_MS: Final = 12 * 3600 * 1000
USE_MS: Final = 60_000  # so exactly is known when a token was used last
SETUP: Final = "setup"
_LEAST_PASSWORD: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks. ``csrf`` is None for an API token, which no browser sends by itself."""

    id: int
    name: str
    role: str
    csrf: str | None = None


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def hash_password(password: str) -> str:
    """Return what is kept of ``password``. Raises MisuseError when it is too short."""
    from argon2 import PasswordHasher

    if len(password) < _LEAST_PASSWORD:
        raise MisuseError(f"a password has at least {_LEAST_PASSWORD} characters")
    return PasswordHasher().hash(password)


def check_password(kept: str | None, password: str) -> bool:
    """Return whether ``password`` is the one; takes as long when there is no such user."""
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    try:
        PasswordHasher().verify(kept or _nobody(), password)
    except VerificationError:
        return False
    return kept is not None


def any_user(connection: Connection) -> bool:
    return bool(connection.scalar(select(func.count()).select_from(t.users)))


def new_setup_code(connection: Connection) -> str:
    """Return the code that makes the first administrator; an earlier one is void."""
    code = secrets.token_urlsafe(12)
    connection.execute(delete(t.settings).where(t.settings.c.name == SETUP))
    connection.execute(insert(t.settings).values(name=SETUP, value=digest(code)))
    return code


def check_setup_code(connection: Connection, code: str) -> None:
    """Raise DeniedError unless ``code`` may make the first administrator."""
    kept = connection.scalar(select(t.settings.c.value).where(t.settings.c.name == SETUP))
    if any_user(connection) or kept is None:
        raise DeniedError("this console is set up already; log in with a user and a password")
    if not hmac.compare_digest(str(kept), digest(code)):
        raise DeniedError("this is not the one-time code that the console printed at its start")


def first_user(
    connection: Connection, code: str, *, name: str, password_hash: str, now_ms: int
) -> Person:
    """Make the first administrator; the code is void then. Raises DeniedError."""
    check_setup_code(connection, code)
    connection.execute(delete(t.settings).where(t.settings.c.name == SETUP))
    return new_user(
        connection,
        name,
        password_hash=password_hash,
        role="administrator",
        who="first-login",
        now_ms=now_ms,
    )


def new_user(
    connection: Connection,
    name: str,
    *,
    password_hash: str,
    role: Role,
    who: str,
    now_ms: int,
) -> Person:
    """Make a user. Raises MisuseError when the name is taken or no name."""
    if not 1 <= len(name) <= 64 or not name.isprintable():  # noqa: PLR2004
        raise MisuseError(f"a user's name has 1 to 64 printable characters, found {name!r}")
    if connection.scalar(select(t.users.c.id).where(t.users.c.name == name)) is not None:
        raise MisuseError(f"there is a user {name!r} already")
    done = connection.execute(
        insert(t.users)
        .values(name=name, password=password_hash, role=role, created_ms=now_ms)
        .returning(t.users.c.id)
    )
    audit.record(connection, "user.new", who=who, subject=name, now_ms=now_ms)
    return Person(id=done.scalar_one(), name=name, role=role)


def user(connection: Connection, name: str) -> tuple[Person, str] | None:
    """Return who of that name may log in and the hash of the password, None when nobody may."""
    c = t.users.c
    found = select(t.users).where(c.name == name, c.disabled_ms.is_(None))
    row = connection.execute(found).one_or_none()
    if row is None:
        return None
    return Person(id=row.id, name=row.name, role=row.role), row.password


def new_token(
    connection: Connection,
    person: Person,
    *,
    name: str,
    now_ms: int,
    expires_ms: int | None = None,
) -> str:
    """Return an API token of ``person``; it is shown this once."""
    token = f"litp_{secrets.token_urlsafe(32)}"
    connection.execute(
        insert(t.api_tokens).values(
            user=person.id,
            name=name[:64],
            digest=digest(token),
            created_ms=now_ms,
            expires_ms=expires_ms,
        )
    )
    audit.record(connection, "token.new", who=person.name, subject=name, now_ms=now_ms)
    return token


def token_number(connection: Connection, token: str) -> int | None:
    """Return the number of an API token in the list, None when it is none."""
    c = t.api_tokens.c
    return connection.scalar(select(c.id).where(c.digest == digest(token)))


def by_token(
    connection: Connection, token: str, *, now_ms: int
) -> tuple[Person, int | None] | None:
    """Return whose API token this is and its last use, None when it is nobody's or worthless."""
    c = t.api_tokens.c
    row = connection.execute(
        select(t.users.c.id, t.users.c.name, t.users.c.role, c.used_ms)
        .join(t.api_tokens, c.user == t.users.c.id)
        .where(
            c.digest == digest(token),
            c.revoked_ms.is_(None),
            c.expires_ms.is_(None) | (c.expires_ms > now_ms),
            t.users.c.disabled_ms.is_(None),
        )
    ).one_or_none()
    return None if row is None else (Person(id=row.id, name=row.name, role=row.role), row.used_ms)


def used(connection: Connection, token: str, *, now_ms: int) -> None:
    """Remember that ``token`` was used just now."""
    c = t.api_tokens.c
    connection.execute(update(t.api_tokens).where(c.digest == digest(token)).values(used_ms=now_ms))


def open_session(connection: Connection, person: Person, *, now_ms: int) -> tuple[str, str]:
    """Return a session's secret, for the cookie, and its CSRF token, for pages."""
    secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    c = t.sessions.c
    connection.execute(delete(t.sessions).where(c.expires_ms <= now_ms))
    connection.execute(
        insert(t.sessions).values(
            digest=digest(secret), user=person.id, csrf=csrf, expires_ms=now_ms + SESSION_MS
        )
    )
    return secret, csrf


def close_session(connection: Connection, secret: str) -> None:
    """Forget a session. Can be done twice."""
    connection.execute(delete(t.sessions).where(t.sessions.c.digest == digest(secret)))


def by_session(connection: Connection, secret: str, *, now_ms: int) -> Person | None:
    """Return whose session this is, None when it is nobody's or over."""
    c = t.sessions.c
    row = connection.execute(
        select(t.users.c.id, t.users.c.name, t.users.c.role, c.csrf)
        .join(t.sessions, c.user == t.users.c.id)
        .where(c.digest == digest(secret), c.expires_ms > now_ms, t.users.c.disabled_ms.is_(None))
    ).one_or_none()
    return None if row is None else Person(id=row.id, name=row.name, role=row.role, csrf=row.csrf)


@cache
def _nobody() -> str:
    from argon2 import PasswordHasher

    return PasswordHasher().hash(secrets.token_urlsafe(12))
