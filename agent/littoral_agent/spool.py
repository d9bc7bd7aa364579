"""What the console must hear and has not yet acknowledged, in one file that survives power cuts.

Reports are never dropped. Telemetry is capped by bytes: the oldest goes first, and what was
dropped is counted and, once somebody listens, reported. A message leaves on the console's
acknowledgement alone. A stream's name is random and lies in the same file as its counter: a
lost file begins new streams. A file that was restored from a copy counts again what was counted
before; the first acknowledgement shows that, and new streams begin.
"""

import logging
import os
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from littoral import durable
from littoral.errors import DiskFullError, MalformedError, StorageError
from littoral.wire.messages import Key, Report

Kind = Literal["report", "telemetry"]
MOST_IDS: Final = 4096  # of messages that were taken, kept so that none is taken twice

_DROPPED: Final = "dropped"
_OWNER: Final = "device"
_SETUP: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -256;
PRAGMA journal_size_limit = 1048576;
CREATE TABLE IF NOT EXISTS streams
    (name TEXT PRIMARY KEY, kind TEXT NOT NULL, incarnation INT NOT NULL, last INT NOT NULL);
CREATE TABLE IF NOT EXISTS messages
    (stream TEXT, sequence INT, body BLOB NOT NULL, crc INT NOT NULL,
     PRIMARY KEY (stream, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS taken (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is sent; its key stands in the body too."""

    kind: Kind
    stream: str
    sequence: int
    body: bytes


class Spool:
    """The messages of one device in one incarnation. Threads may share it.

    The file is opened when it is first needed, and again after the disk refused: a full disk
    keeps nobody from starting. ``waiting`` is called when there is something new to send.
    """

    def __init__(self, path: Path, *, device: str, incarnation: int, cap_bytes: int) -> None:
        self._path, self._device, self._incarnation = path, device, incarnation
        self._cap_bytes = cap_bytes
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self.waiting: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Close the file, if it is open."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def add(
        self,
        kind: Kind,
        *makes: Callable[[Key], bytes],
        once: str | None = None,
        marks: Mapping[str, str] | None = None,
    ) -> bool:
        """Take messages, whose bodies ``makes`` build for their keys; return whether they were.

        All or nothing, and durable on return. What bears the id ``once`` is taken once for
        ever; ``marks`` are remembered together with the messages, or alone.

        Raises:
            DiskFullError: There is no room; nothing was taken.
            StorageError: The disk refuses.

        """
        with self._change() as db:
            if once is not None and not _first(db, once):
                return False
            for make in makes:
                self._put(db, kind, make)
            for name, value in (marks or {}).items():
                _mark(db, name, value)
            if kind == "telemetry" and makes:
                _cap(db, self._stream(db, kind), cap_bytes=self._cap_bytes)
        self.waiting()
        return True

    def mark(self, name: str) -> str | None:
        """Return what was last remembered as ``name``."""
        with self._look() as db:
            return _marked(db, name)

    def messages(self, after: Mapping[str, int], *, limit: int) -> list[Message]:
        """Return up to ``limit`` messages above the sequences ``after`` (by stream), oldest first.

        Reports come before telemetry.
        """
        found: list[Message] = []
        with self._look() as db:
            for kind, name in _streams(db, self._incarnation):
                rows = db.execute(
                    "SELECT sequence, body FROM messages WHERE stream = ? AND sequence > ? "
                    "ORDER BY sequence LIMIT ?",
                    (name, after.get(name, 0), limit - len(found)),
                )
                found += [Message(kind, name, row[0], row[1]) for row in rows]
        return found

    def acknowledge(self, acks: Mapping[str, int]) -> int:
        """Forget, by stream, what is committed up to a sequence; return how many messages.

        Where more is committed than was ever counted here, the file is an older copy. The console
        has taken its reports by what they are, and its telemetry perhaps: that counts as dropped.

        Raises:
            StorageError: The disk refuses; they will be sent, and acknowledged, again.

        """
        gone = 0
        with self._change() as db:
            for stream, sequence in acks.items():
                restored = _outrun(db, stream, sequence)
                found = db.execute(
                    "DELETE FROM messages WHERE stream = ? AND sequence <= ?", (stream, sequence)
                )
                gone += found.rowcount
                if restored is not None:
                    db.execute("DELETE FROM streams WHERE name = ?", (stream,))
                    _count_dropped(db, found.rowcount if restored == "telemetry" else 0)
        return gone

    def lowest(self) -> dict[str, int]:
        """Return, by stream, the lowest sequence that can still be sent: what a status says."""
        with self._look() as db:
            rows = db.execute(
                "SELECT name, COALESCE((SELECT MIN(sequence) FROM messages WHERE stream = name), "
                "last + 1) FROM streams WHERE incarnation = ?",
                (self._incarnation,),
            )
            return {str(name): int(sequence) for name, sequence in rows}

    def held(self) -> dict[str, int]:
        """Return by kind how many messages wait."""
        with self._look() as db:
            rows = db.execute(
                "SELECT kind, (SELECT COUNT(*) FROM messages WHERE stream = name) FROM streams "
                "WHERE incarnation = ?",
                (self._incarnation,),
            )
            return {str(kind): int(many) for kind, many in rows}

    def tell_dropped(self, make: Callable[[Key, int], bytes]) -> bool:
        """Take a report of how many messages were dropped, if any were since the last one.

        Raises:
            StorageError: The disk refuses; the count stands.

        """
        with self._change() as db:
            count = int(_marked(db, _DROPPED) or 0)
            if count == 0:
                return False
            self._put(db, "report", lambda key: make(key, count))
            _mark(db, _DROPPED, "0")
        self.waiting()
        return True

    def _put(self, db: sqlite3.Connection, kind: Kind, make: Callable[[Key], bytes]) -> None:
        stream = self._stream(db, kind)
        db.execute("UPDATE streams SET last = last + 1 WHERE name = ?", (stream,))
        (sequence,) = db.execute("SELECT last FROM streams WHERE name = ?", (stream,)).fetchone()
        key = Key(
            device=self._device, incarnation=self._incarnation, stream=stream, sequence=sequence
        )
        body = make(key)
        row = (stream, sequence, body, zlib.crc32(body))
        db.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", row)

    def _stream(self, db: sqlite3.Connection, kind: Kind) -> str:
        for other, name in _streams(db, self._incarnation):
            if other == kind:
                return name
        name = f"{kind}-{secrets.token_hex(8)}"
        db.execute("INSERT INTO streams VALUES (?, ?, ?, 0)", (name, kind, self._incarnation))
        return name

    @contextmanager
    def _look(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _database_errors(self._path):
            if self._opened is None:
                self._opened = self._open()
            yield self._opened

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._look() as db, _transaction(db):
            yield db

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            db = _connect_twice(self._path)
        except sqlite3.DatabaseError as e:
            if isinstance(e, sqlite3.OperationalError):
                raise
            aside = durable.set_aside(self._path)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            log.warning("the spool cannot be read and is set aside as %s: %s", aside, e)
            db = _connect(self._path)
        try:
            _drop_damaged(db)
            with _transaction(db):
                self._inherit(db)
        except BaseException:
            db.close()
            raise
        return db

    def _inherit(self, db: sqlite3.Connection) -> None:
        """Take over the reports that an earlier incarnation could not send, in their order.

        Telemetry of then is dropped, and counted: some of it may be there, and none counts twice.
        On a full disk there is nothing to do here unless the device was enrolled anew.
        """
        owner = _marked(db, _OWNER)
        if owner != self._device:
            if owner is not None:
                _empty(db)
            _mark(db, _OWNER, self._device)
        earlier = db.execute(
            "SELECT body FROM messages JOIN streams ON name = stream "
            "WHERE incarnation != ? AND kind = 'report' ORDER BY streams.rowid, sequence",
            (self._incarnation,),
        ).fetchall()
        taken = sum(self._take_over(db, body) for (body,) in earlier)
        db.execute("DELETE FROM streams WHERE incarnation != ?", (self._incarnation,))
        gone = db.execute("DELETE FROM messages WHERE stream NOT IN (SELECT name FROM streams)")
        _count_dropped(db, gone.rowcount - taken)

    def _take_over(self, db: sqlite3.Connection, body: bytes) -> bool:
        try:
            said = Report.from_json(body)
        except MalformedError as e:
            log.warning("a report of an earlier incarnation cannot be read: %s [%s]", e, e.code)
            return False
        self._put(db, "report", lambda key: replace(said, key=key).to_json())
        return True


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        db.executescript(_SETUP)
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)  # noqa: TRY301
    except BaseException:
        db.close()
        raise
    return db


def _connect_twice(path: Path) -> sqlite3.Connection:
    """Connect; what cannot be read once is read again before it is called damaged."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as e:
        log.warning("the spool is read again: %s: %s [%s]", path, e, StorageError.code)
        return _connect(path)


def _empty(db: sqlite3.Connection) -> None:
    """Forget what another device left: nobody may say it any more."""
    gone = db.execute("DELETE FROM messages").rowcount
    for table in ("streams", "taken", "marks"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 (three words of ours)
    log.warning("the spool was another device's; %d messages of it are dropped", gone)


def _drop_damaged(db: sqlite3.Connection) -> None:
    """Drop what the card has changed: nobody could read it, and all after it would wait for it."""
    rows = db.execute("SELECT stream, sequence, body, crc FROM messages")
    damaged = [row[:2] for row in rows if zlib.crc32(row[2]) != row[3]]
    db.executemany("DELETE FROM messages WHERE stream = ? AND sequence = ?", damaged)
    _count_dropped(db, len(damaged))


def _streams(db: sqlite3.Connection, incarnation: int) -> list[tuple[Kind, str]]:
    return db.execute(
        "SELECT kind, name FROM streams WHERE incarnation = ? ORDER BY kind", (incarnation,)
    ).fetchall()


def _outrun(db: sqlite3.Connection, stream: str, sequence: int) -> Kind | None:
    """Return of what kind the stream is, if it was never counted as far as ``sequence``."""
    row = db.execute(
        "SELECT kind FROM streams WHERE name = ? AND last < ?", (stream, sequence)
    ).fetchone()
    if row is None:
        return None
    log.warning("the spool is an older copy: %s goes on as another stream", stream)
    found: Kind = row[0]
    return found


def _first(db: sqlite3.Connection, once: str) -> bool:
    done = db.execute("INSERT OR IGNORE INTO taken (id) VALUES (?)", (once,))
    if done.rowcount == 0:
        latest = "UPDATE taken SET place = (SELECT MAX(place) + 1 FROM taken) WHERE id = ?"
        db.execute(latest, (once,))
    db.execute("DELETE FROM taken WHERE place <= (SELECT MAX(place) FROM taken) - ?", (MOST_IDS,))
    return done.rowcount == 1


def _mark(db: sqlite3.Connection, name: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))


def _marked(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _cap(db: sqlite3.Connection, stream: str, *, cap_bytes: int) -> None:
    """Drop the oldest of ``stream`` until the rest fits; the latest stays whatever its size."""
    rows = db.execute(
        "SELECT sequence, LENGTH(body) FROM messages WHERE stream = ? ORDER BY sequence", (stream,)
    ).fetchall()
    held = sum(size for _, size in rows)
    over = []
    for sequence, size in rows[:-1]:
        if held <= cap_bytes:
            break
        over.append((stream, sequence))
        held -= size
    db.executemany("DELETE FROM messages WHERE stream = ? AND sequence = ?", over)
    _count_dropped(db, len(over))


def _count_dropped(db: sqlite3.Connection, count: int) -> None:
    if count:
        _mark(db, _DROPPED, str(int(_marked(db, _DROPPED) or 0) + count))


@contextmanager
def _database_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as e:
        if getattr(e, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise DiskFullError(f"{path}: no space left on the device; free some") from e
        raise StorageError(f"{path}: {e}") from e
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}") from e
