"""What a device said, against what its console made of it: nothing lost, nothing counted twice.

A trigger in the device's own spool copies each message as it is taken, before anybody can send
or forget it. The console's tables are read as they lie on its disk.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from littoral.tree import Tree
from littoral.wire.messages import Report
from littoral.wire.telemetry import Telemetry
from littoral_agent.spool import Spool

Series = tuple[str, int, str]  # model, release, stage
T = TypeVar("T")
FARTHEST: Final = 2**62  # of a stream that the device does not know: all of it is too much

_KEPT: Final = """
CREATE TABLE IF NOT EXISTS said (stream TEXT, sequence INT, body BLOB);
CREATE TRIGGER IF NOT EXISTS keeps AFTER INSERT ON messages
    BEGIN INSERT INTO said VALUES (NEW.stream, NEW.sequence, NEW.body); END;
"""


def keep(tree: Tree, device: str, incarnation: int) -> None:
    """Have the spool of a device that has not started yet remember all that it takes."""
    spool = Spool(tree.spool, device=device, incarnation=incarnation, cap_bytes=2**24)
    spool.lowest()
    spool.close()
    with closing(sqlite3.connect(tree.spool)) as db:
        db.executescript(_KEPT)


@dataclass(frozen=True, slots=True)
class Said:
    """All that a device took into its spool up to a moment."""

    upto: dict[str, int]  # the last sequence of each stream
    reports: list[Report]
    samples: Counter[Series]  # of latencies
    windows: int  # messages of telemetry


def said(tree: Tree) -> Said:
    """Return what the device said up to now."""
    with closing(_reading(tree.spool)) as db:
        rows = db.execute("SELECT stream, sequence, body FROM said ORDER BY rowid").fetchall()
    reports, samples, windows = [], Counter[Series](), 0
    for stream, _, body in rows:
        if stream.startswith("report"):
            reports.append(Report.from_json(body))
            continue
        windows += 1
        for one in Telemetry.decode(body).series:
            samples[one.model, one.release, one.stage] += one.sketch.count
    return Said({stream: number for stream, number, _ in rows}, reports, samples, windows)


def waiting(tree: Tree, told: Said) -> int:
    """Return how many messages of what was ``told`` nobody has acknowledged."""
    with closing(_reading(tree.spool)) as db:
        rows = db.execute("SELECT stream, sequence FROM messages").fetchall()
    return sum(number <= told.upto.get(stream, 0) for stream, number in rows)


def compare(told: Said, console: Path, device: str) -> Iterator[str]:
    """Say what the console at ``console`` lacks of what was ``told``, or has too often."""
    with closing(_reading(console / "littoral.db")) as db:
        reports = db.execute(
            "SELECT stream, sequence, once FROM reports WHERE device = ? ORDER BY id", (device,)
        ).fetchall()
        telemetry = db.execute(
            'SELECT stream, sequence, model, "release", stage, "count" FROM telemetry '
            "WHERE device = ?",
            (device,),
        ).fetchall()
        (lost,) = db.execute("SELECT SUM(lost) FROM streams WHERE device = ?", (device,)).fetchone()
    samples: Counter[Series] = Counter()
    for stream, number, name, release, stage, count in telemetry:
        if number <= told.upto.get(stream, FARTHEST):
            samples[name, release, stage] += count
    had = Counter(one for stream, n, one in reports if n <= told.upto.get(stream, FARTHEST))
    yield from _differences("reports", Counter(one.once for one in told.reports), had)
    yield from _differences("samples", told.samples, samples)
    if lost:
        yield f"lost: the console counts {lost} gaps"
    numbers = [number for _, number, _ in reports]
    if numbers != sorted(numbers):
        yield f"order: the console has the reports as {numbers}"


def _differences(what: str, said: Counter[T], had: Counter[T]) -> Iterator[str]:
    for one, count in (said - had).items():
        yield f"lost: {count} {what} of {one}"
    for one, count in (had - said).items():
        yield f"doubled: {count} {what} of {one}"


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
