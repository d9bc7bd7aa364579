"""A log that somebody changed says where."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from littoral_console import audit
from littoral_console import tables as t
from littoral_console.database import Database, default_url


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(default_url(tmp_path))
    for n in range(1, 6):
        said: dict[str, Any] = {
            "who": "anna",
            "subject": f"digits:{n}",
            "now_ms": n,
            "detail": {"to": "all"},
        }
        found.writer.write(partial(audit.record, action="push", **said))
    yield found
    found.close()


def broken(database: Database) -> int | None:
    with database.reading() as connection:
        return audit.first_broken(connection)


def test_a_log_is_as_it_was_written(database: Database) -> None:
    assert broken(database) is None


def test_a_changed_entry_is_found(database: Database) -> None:
    database.writer.write(
        lambda c: c.execute(update(t.audit).where(t.audit.c.id == 3).values(who="eve"))
    )
    assert broken(database) == 3


def test_a_missing_entry_is_found(database: Database) -> None:
    database.writer.write(lambda c: c.execute(delete(t.audit).where(t.audit.c.id == 2)))
    assert broken(database) == 3
