"""What was done, by whom: a log whose entries are chained, so that a changed one is seen.

Each entry carries the sha256 of the chain before it and of its own words.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert, select

from littoral import records
from littoral_console import tables as t


def record(
    connection: Connection,
    action: str,
    *,
    who: str,
    subject: str,
    now_ms: int,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry, in the transaction that does what it tells of."""
    said = {
        "time_ms": now_ms,
        "who": who,
        "action": action,
        "subject": subject[:200],
        "detail": dict(detail or {}),
    }
    last = select(t.audit.c.chain).order_by(t.audit.c.id.desc()).limit(1).with_for_update()
    before = connection.scalar(last) or ""
    connection.execute(insert(t.audit).values(**said, chain=_chain(before, said)))


def first_broken(connection: Connection) -> int | None:
    """Return the id of the first entry that is not as it was written, None when all are."""
    before = ""
    for row in connection.execute(select(t.audit).order_by(t.audit.c.id)):
        said = {
            "time_ms": row.time_ms,
            "who": row.who,
            "action": row.action,
            "subject": row.subject,
            "detail": row.detail,
        }
        if row.chain != _chain(before, said):
            return int(row.id)
        before = row.chain
    return None


def _chain(before: str, said: Mapping[str, Any]) -> str:
    return sha256(before.encode() + records.to_json(said)).hexdigest()
