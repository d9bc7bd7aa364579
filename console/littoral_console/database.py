"""The console's one database: how it is opened, read and written.

Readers take a connection each and see what was committed. All writing goes through one
``Writer``: a thread that takes the jobs waiting in its queue, runs each in a savepoint and
commits them together, so that a thousand small writes cost one fsync. A job's future is
done only after that commit, which is on the disk: what is acknowledged to a device survives
a power cut. Consoles that share a database write one after the other, on SQLite as on
PostgreSQL (littoral_console.engines).
"""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from littoral.errors import LittoralError, StorageError, UnsupportedFormatError
from littoral_console.engines import engine, keep_private, ours

T = TypeVar("T")
Job = tuple[Callable[[Connection], Any], "Future[Any]"]

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
        self._writing = engine(url, writing=True)
        keep_private(self._writing)
        try:
            with self._writing.begin() as connection:
                migrate(connection)
        except SQLAlchemyError as e:
            if isinstance(error := ours(e), LittoralError):
                raise error from e
            raise StorageError(f"{self._writing.url}: {getattr(e, 'orig', e)}") from e
        self._reading = engine(url, writing=False)
        self.writer = Writer(self._writing)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection that sees one state of the database and cannot change it.

        Raises:
            MisuseError: It was asked for a number that no database has.
            StorageError: It does not answer.

        """
        try:
            with self._reading.connect() as connection:
                yield connection
        except (OverflowError, DBAPIError) as e:
            if (error := ours(e)) is e:
                raise
            raise error from e

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
            error = ours(e)
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
        error = ours(e)
        return lambda: future.set_exception(error)
    return lambda: future.set_result(result)


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one of its key is there; return whether it was inserted."""
    match connection.dialect.name:
        case "postgresql":
            row = postgresql.insert(table).values(values).on_conflict_do_nothing()
            done = connection.execute(row.returning(*table.primary_key))
        case _:
            kept = sqlite.insert(table).values(values).on_conflict_do_nothing()
            done = connection.execute(kept.returning(*table.primary_key))
    return done.first() is not None


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
