"""The database is migrated, keeps what it promised, and has one writer."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from littoral.errors import DiskFullError, SettingsError, StorageError, UnsupportedFormatError
from littoral_console import tables as t
from littoral_console.database import Database, default_url, insert_once, put


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(default_url(tmp_path))
    yield found
    found.close()


def test_migrations_end_in_the_tables_of_the_code(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, t.metadata) == []


def test_a_database_is_opened_again_with_what_it_held(tmp_path: Path) -> None:
    first = Database(default_url(tmp_path))
    first.writer.write(lambda c: c.execute(insert(t.settings).values(name="fleet", value="coast")))
    first.close()
    second = Database(default_url(tmp_path))
    with second.reading() as connection:
        assert connection.scalar(select(t.settings.c.value)) == "coast"
    second.close()


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError, match="readonly"), database.reading() as connection:
        connection.execute(insert(t.settings).values(name="a", value="b"))


def test_a_job_that_fails_undoes_itself_and_nothing_else(database: Database) -> None:
    gate = threading.Event()
    blocked = database.writer.submit(lambda _: gate.wait(10))

    def broken(connection: Connection) -> None:
        connection.execute(insert(t.settings).values(name="broken", value="half"))
        raise ValueError("no")

    def twice(connection: Connection) -> None:
        connection.execute(insert(t.settings).values(name="good", value="again"))

    good = database.writer.submit(
        lambda c: c.execute(insert(t.settings).values(name="good", value="whole"))
    )
    bad = database.writer.submit(broken)
    same = database.writer.submit(twice)
    gate.set()
    blocked.result()
    good.result()
    with pytest.raises(ValueError, match="no"):
        bad.result()
    with pytest.raises(IntegrityError):
        same.result()
    with database.reading() as connection:
        rows = connection.execute(select(t.settings)).all()
    assert [tuple(row) for row in rows] == [("good", "whole")]


def test_a_row_is_inserted_once_and_put_as_often_as_one_likes(database: Database) -> None:
    row = {"name": "fleet", "value": "coast"}
    assert database.writer.write(lambda c: insert_once(c, t.settings, row))
    assert not database.writer.write(lambda c: insert_once(c, t.settings, {**row, "value": "x"}))
    database.writer.write(lambda c: put(c, t.settings, {**row, "value": "shore"}))
    with database.reading() as connection:
        assert connection.scalar(select(t.settings.c.value)) == "shore"


def test_an_unknown_kind_of_database_is_a_misuse_that_names_the_option() -> None:
    with pytest.raises(SettingsError, match="--database"):
        Database("nonsense")


def test_a_database_of_a_later_console_is_left_alone(tmp_path: Path) -> None:
    found = Database(default_url(tmp_path))
    found.writer.write(
        lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    )
    found.close()
    with pytest.raises(UnsupportedFormatError, match="expected format 1, found '9999'"):
        Database(default_url(tmp_path))


def test_a_file_that_is_no_database_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "littoral.db").write_bytes(b"junk " * 1000)
    with pytest.raises(StorageError, match="not a database"):
        Database(default_url(tmp_path))


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    found = Database(default_url(tmp_path))
    for path in tmp_path.glob("littoral.db*"):
        assert path.stat().st_mode & 0o077 == 0, path
    found.close()


def test_a_full_disk_takes_nothing_and_loses_nothing(small_disk: Path) -> None:
    found = Database(default_url(small_disk))
    kept: list[str] = []

    def fill() -> None:
        while len(kept) < 1000:
            row = {"name": f"row {len(kept)}", "value": "x" * 4000}
            found.writer.write(
                partial(Connection.execute, statement=insert(t.settings).values(row))
            )
            kept.append(row["name"])

    with pytest.raises(DiskFullError, match="no room"):
        fill()
    assert kept
    with found.reading() as connection:
        rows = connection.scalars(select(t.settings.c.name)).all()
    assert sorted(rows) == sorted(kept)
    found.close()
