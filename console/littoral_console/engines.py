"""How each kind of database is opened, and its errors in our words. No tables, no threads.

Whoever writes is alone: on SQLite by ``BEGIN IMMEDIATE``, on PostgreSQL by one lock that every
console's transaction takes first. So a rule that reads and then writes holds on both, and two
consoles never wait for each other in a circle.
"""

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    PendingRollbackError,
)

from littoral.durable import storage_errors
from littoral.errors import DiskFullError, MisuseError, SettingsError, StorageError

_WRITERS: Final = 0x6C6974746F72616C  # the lock that writers take: "littoral", as a number
_FULL: Final = "53100"  # PostgreSQL's word for a full disk
_SERVER: Final = {  # what PostgreSQL is asked for
    True: (
        "-c synchronous_commit=on"
        " -c lock_timeout=30s"
        " -c idle_in_transaction_session_timeout=30s"  # of a console that is cut off: let others
    ),
    False: "-c default_transaction_read_only=on",
}


def engine(url: str, *, writing: bool) -> Engine:
    """Return how connections to ``url`` are made.

    Raises:
        SettingsError: It is no such database, or its driver is not installed.

    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _unknown(url) from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed, writing=writing)
        case "postgresql":
            return _postgresql(parsed, writing=writing)
        case _:
            raise _unknown(url)


def keep_private(found: Engine) -> None:
    """Make SQLite's file readable by nobody else; what lies beside it follows."""
    path = found.url.database
    if found.dialect.name == "sqlite" and path:
        with storage_errors(Path(path)):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def ours(error: Exception) -> Exception:
    """Return what ``error`` of a database is called here; another error as it is."""
    said = str(getattr(error, "orig", error)).partition("\n")[0]
    match error:
        case OperationalError() if "full" in said or _state(error) == _FULL:
            return DiskFullError("the database has no room; free some space on its disk")
        case OperationalError() | InternalError() | InterfaceError() | PendingRollbackError():
            return StorageError(f"the database: {said}")
        case OverflowError() | DataError():
            return MisuseError("a number is out of range, or a text is too long or none")
        case _:
            return error


def is_outage(error: Exception) -> bool:
    """Whether the database is full or away, and not what it was given at fault."""
    if isinstance(error, PendingRollbackError) or isinstance(ours(error), DiskFullError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _state(error: OperationalError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _unknown(url: str) -> SettingsError:
    scheme = url.partition("://")[0]  # behind it there may be a password
    return SettingsError(f"--database: expected sqlite:///FILE or postgresql://…, found {scheme!r}")


def _postgresql(parsed: URL, *, writing: bool) -> Engine:
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        found = create_engine(
            parsed,
            isolation_level="READ COMMITTED" if writing else "REPEATABLE READ",
            pool_pre_ping=True,  # it may have been started anew
            connect_args={"options": _SERVER[writing], "connect_timeout": 10},
        )
    except ModuleNotFoundError as e:
        raise SettingsError(
            f"--database: PostgreSQL needs the Python package {e.name!r}, which is not installed; "
            "run: pip install 'littoral[postgresql]'"
        ) from e
    except ArgumentError as e:  # postgresql+something
        raise SettingsError(f"--database: no driver {parsed.drivername!r}") from e
    if writing:

        @event.listens_for(found, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")

    return found


def _sqlite(parsed: URL, *, writing: bool) -> Engine:
    """Make SQLite keep what it was told to keep, and let readers read while it writes."""
    found = create_engine(parsed)

    @event.listens_for(found, "connect")
    def connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.isolation_level = None  # the driver begins nothing by itself
        for pragma in (
            "busy_timeout = 30000",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "query_only = OFF" if writing else "query_only = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(found, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return found
