"""What SQLite makes of a spool that a power cut left: by its own reading, in a folder apart."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.crash_disk import State
from littoral.errors import LittoralError
from littoral.wire.messages import Key, Report

FILES: Final = ("spool.db", "spool.db-wal", "spool.db-journal")

Bodies = dict[Key, bytes]  # reports, by what makes each one


@dataclass(frozen=True, slots=True)
class Meaning:
    """All that can be read there, as one word, and the reports among it. None: it is damaged."""

    words: str | None
    reports: Bodies = field(default_factory=dict)


class Spools:
    """Reads spools, each content of the files once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._read: dict[tuple[bytes | None, ...], Meaning] = {}

    def meaning(self, state: State) -> Meaning:
        held = [state.get(name) for name in FILES]
        key = tuple(one.digest if one else None for one in held)
        if key not in self._read:
            for name, one in zip(FILES, held, strict=True):
                (self._folder / name).unlink(missing_ok=True)
                if one is not None:
                    (self._folder / name).write_bytes(one.data)
            self._read[key] = read(self._folder / FILES[0])
            (self._folder / "spool.db-shm").unlink(missing_ok=True)
        return self._read[key]


def read(path: Path) -> Meaning:
    """Read the spool ``path``, and bring it in order as whoever opens it does."""
    if not path.exists():
        return Meaning("")
    try:
        with closing(sqlite3.connect(path)) as db:
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                return Meaning(None)
            return Meaning("\n".join(_dump(db)), _reports(db))
    except (sqlite3.DatabaseError, LittoralError):
        return Meaning(None)


def _dump(db: sqlite3.Connection) -> Iterator[str]:
    yield from db.iterdump()


def _reports(db: sqlite3.Connection) -> Bodies:
    if db.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'messages'").fetchone() == (0,):
        return {}
    rows = db.execute(
        "SELECT body FROM messages JOIN streams ON name = stream WHERE kind = 'report'"
    )
    return {Report.from_json(body).key: body for (body,) in rows}
