"""The console's one database: how it is opened, read and written.

Readers take a connection each and see what was committed. All writing goes through one
``Writer``: a thread that takes the jobs waiting in its queue, runs each in a savepoint and
commits them together, so that a thousand small writes cost one fsync. A job's future is
done only after that commit, which on SQLite is ``synchronous=FULL``: what is acknowledged
to a device survives a power cut.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, OperationalError, SQLAlchemyError

from littoral.durable import storage_errors
from littoral.errors import (
    DiskFullError,
    MisuseError,
    SettingsError,
    StorageError,
    UnsupportedFormatError,
)

T = TypeVar("T")
Job = tuple[Callable[[Connection], Any], "Future[Any]"]

_TOO_LARGE: Final = (OverflowError, DataError)  # as SQLite's driver and PostgreSQL say it
_TOGETHER: Final = 256  # jobs in one commit at most


def default_url(data: Path) -> str:
    """Return where the database is when nobody says so."""
    return f"sqlite:///{data / 'littoral.db'}"


class Database:
    """Readers and the writer of one database, migrated to this version's tables."""

    def __init__(self, url: str) -> None:
        """Open ``url`` and bring its tables up to date.

        Raises:
            SettingsError: No such kind of database.
            StorageError: It cannot be opened or migrated.

        """
        self.url = url
        self._writing = _engine(url, writing=True)
        _keep_private(self._writing)
        try:
            with self._writing.begin() as connection:
                migrate(connection)
        except OperationalError as e:
            raise _ours(e) from e
        except SQLAlchemyError as e:
            raise StorageError(f"{self._writing.url}: {getattr(e, 'orig', e)}") from e
        self._reading = _engine(url, writing=False)
        self.writer = Writer(self._writing)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database and cannot change it.

        Raises:
            MisuseError: It was asked for a number that no database has.

        """
        try:
            with self._reading.connect() as connection:
                yield connection
        except _TOO_LARGE as e:
            raise _ours(e) from e

    def close(self) -> None:
        """Finish what was submitted, then let go of the file."""
        self.writer.close()
        self._reading.dispose()
        self._writing.dispose()


class Writer:
    """The only one that changes the database. Its methods may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[Connection], T]) -> "Future[T]":
        """Return what will hold ``job``'s result once it is committed, or why it is not."""
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def write(self, job: Callable[[Connection], T]) -> T:
        """Return ``job``'s result after its commit. Not for the event loop's thread."""
        return self.submit(job).result()

    def close(self) -> None:
        """Return when all that was submitted is committed."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs, last = [first], False
            while len(jobs) < _TOGETHER and not self._jobs.empty():
                job = self._jobs.get()
                if job is None:
                    last = True
                    break
                jobs.append(job)
            self._commit([job for job in jobs if job[1].set_running_or_notify_cancel()])
            if last:
                return

    def _commit(self, jobs: list[Job]) -> None:
        done: list[Callable[[], None]] = []
        try:
            with self._engine.begin() as connection:
                done = [_attempt(connection, *job) for job in jobs]
        except Exception as e:  # noqa: BLE001 (each caller raises it: none was committed)
            error = _ours(e)
            for _, future in jobs:
                future.set_exception(error)
            return
        for say in done:
            say()


def _attempt(
    connection: Connection, job: Callable[[Connection], Any], future: "Future[Any]"
) -> Callable[[], None]:
    try:
        with connection.begin_nested():
            result = job(connection)
    except Exception as e:  # noqa: BLE001 (it is the caller's, who raises it)
        error = _ours(e)
        return lambda: future.set_exception(error)
    return lambda: future.set_result(result)


def _ours(error: Exception) -> Exception:
    match error:
        case OperationalError() if "full" in str(error.orig):
            return DiskFullError("the database has no room; free some space on its disk")
        case OperationalError():
            return StorageError(f"the database: {error.orig}")
        case OverflowError() | DataError():
            return MisuseError("a number is out of range")
        case _:
            return error


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one of its key is there; return whether it was inserted."""
    match connection.dialect.name:
        case "postgresql":
            done = connection.execute(
                postgresql.insert(table).values(values).on_conflict_do_nothing()
            )
        case _:
            done = connection.execute(sqlite.insert(table).values(values).on_conflict_do_nothing())
    return done.rowcount == 1


def put(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Insert a row, or make the one of its primary key hold ``values``."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    match connection.dialect.name:
        case "postgresql":
            connection.execute(
                postgresql.insert(table)
                .values(values)
                .on_conflict_do_update(index_elements=keys, set_=rest)
            )
        case _:
            connection.execute(
                sqlite.insert(table)
                .values(values)
                .on_conflict_do_update(index_elements=keys, set_=rest)
            )


def migrate(connection: Connection) -> None:
    """Bring the tables to this version's. Can be done twice.

    Raises:
        UnsupportedFormatError: A later console made them.

    """
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as e:
        known = int(ScriptDirectory.from_config(config).get_current_head() or 0)
        found = MigrationContext.configure(connection).get_current_revision()
        raise UnsupportedFormatError("the database", found=found, known=known) from e


def _engine(url: str, *, writing: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql"):
        scheme = url.partition("://")[0]  # behind it there may be a password
        raise SettingsError(
            f"--database: expected sqlite:///FILE or postgresql://…, found {scheme!r}"
        )
    try:
        engine = create_engine(parsed)
    except ModuleNotFoundError as e:
        raise SettingsError(
            f"--database: PostgreSQL needs the Python package {e.name!r}, which is not installed; "
            f"run: pip install {e.name}"
        ) from e
    except ArgumentError as e:  # postgresql+something
        raise SettingsError(f"--database: no driver {parsed.drivername!r}") from e
    if engine.dialect.name == "sqlite":
        _tune(engine, writing=writing)
    return engine


def _keep_private(engine: Engine) -> None:
    """Make SQLite's file readable by nobody else; what lies beside it follows."""
    path = engine.url.database
    if engine.dialect.name == "sqlite" and path:
        with storage_errors(Path(path)):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _tune(engine: Engine, *, writing: bool) -> None:
    """Make SQLite keep what it was told to keep, and let readers read while it writes."""

    @event.listens_for(engine, "connect")
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

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
