"""The database is migrated, keeps what it promised, and has one writer."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from littoral.errors import SettingsError
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
    with database.reading() as connection, pytest.raises(OperationalError, match="readonly"):
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
