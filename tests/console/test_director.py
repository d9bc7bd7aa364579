"""Versions of the documents that say what a device shall run only ever grow."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from sqlalchemy import insert

from littoral.trust import writer
from littoral_console import director as directors
from littoral_console import tables as t
from littoral_console.database import Database, default_url, put
from littoral_console.director import Director

NOW_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(default_url(tmp_path))
    device = {
        "id": "edge-1",
        "serial": "1",
        "incarnation": 3,
        "labels": {},
        "created_ms": 0,
        "online": False,
        "software": "",
        "hardware": [],
        "serving": False,
        "director": 0,
    }
    found.writer.write(lambda c: c.execute(insert(t.devices).values(device)))
    found.writer.write(lambda c: put(c, t.settings, {"name": "fleet", "value": "shore"}))
    yield found
    found.close()


@pytest.fixture
def director() -> Director:
    return Director(CryptoSigner.generate_ed25519())


def issue(database: Database, director: Director, now_ms: int) -> int:
    return database.writer.write(lambda c: director.issue(c, "edge-1", now_ms=now_ms))


def held(database: Database) -> dict[str, object]:
    with database.reading() as connection:
        found = directors.document(connection, "edge-1")
    assert found is not None
    signed: dict[str, object] = json.loads(found.data)["signed"]
    assert signed["version"] == found.version
    return signed


def test_a_version_is_the_time_and_greater_than_the_last(
    database: Database, director: Director
) -> None:
    assert issue(database, director, NOW_MS) == NOW_MS
    assert issue(database, director, NOW_MS) == NOW_MS + 1
    assert issue(database, director, NOW_MS - DAY_MS) == NOW_MS + 2  # the clock was set back
    assert issue(database, director, NOW_MS + 10) == NOW_MS + 10


def test_a_restored_database_goes_on_above_what_it_forgot(
    database: Database, director: Director, tmp_path: Path
) -> None:
    issue(database, director, NOW_MS)
    database.close()
    shutil.copytree(tmp_path, tmp_path / "backup")
    again = Database(default_url(tmp_path))
    forgotten = [issue(again, director, NOW_MS + n) for n in (1, 2, 3)]
    again.close()
    restored = Database(default_url(tmp_path / "backup"))
    assert issue(restored, director, NOW_MS + 1000) > forgotten[-1]
    restored.close()


def test_what_the_device_believes_is_always_passed(database: Database, director: Director) -> None:
    issue(database, director, NOW_MS)
    ahead = NOW_MS + 10**9
    assert database.writer.write(lambda c: director.reported(c, "edge-1", ahead, now_ms=NOW_MS))
    assert held(database)["version"] == ahead + 1
    assert not database.writer.write(lambda c: director.reported(c, "edge-1", ahead, now_ms=NOW_MS))
    assert issue(database, director, NOW_MS) == ahead + 2


@pytest.mark.parametrize("version", [-1, 2**52, 2**53, 2**63, 10**30])
def test_a_device_that_reports_nonsense_moves_nothing(
    database: Database, director: Director, version: int
) -> None:
    issue(database, director, NOW_MS)
    assert not database.writer.write(
        lambda c: director.reported(c, "edge-1", version, now_ms=NOW_MS)
    )
    assert issue(database, director, NOW_MS) == NOW_MS + 1


def test_a_document_says_for_whom_it_is(database: Database, director: Director) -> None:
    issue(database, director, NOW_MS)
    signed = held(database)
    assert signed["x-littoral"] == {"fleet": "shore", "device": "edge-1", "incarnation": 3}
    ends = datetime.fromtimestamp(NOW_MS / 1000, UTC) + writer.DIRECTOR_LIFE
    assert signed["expires"] == ends.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_document_is_signed_anew_before_it_ends(database: Database, director: Director) -> None:
    first = issue(database, director, NOW_MS)
    for days, renewed in ((6, ()), (8, ("edge-1",)), (8, ())):
        now_ms = NOW_MS + days * DAY_MS
        found = database.writer.write(partial(director.renew, now_ms=now_ms))
        assert found == renewed, days
    version = held(database)["version"]
    assert isinstance(version, int)
    assert version > first
