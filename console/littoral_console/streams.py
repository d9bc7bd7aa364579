"""Which messages of a device are here: each is taken once, and gaps are counted.

A stream's ``acked`` says that all up to it is committed, or was lost on the device. What
arrived above it waits in ``received`` until the gap below is filled, or the device says
that it cannot be.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from littoral.wire.messages import Key
from littoral_console import tables as t
from littoral_console.database import insert_once


@dataclass(frozen=True, slots=True)
class Head:
    """How far a stream has come."""

    acked: int
    highest: int


def take(connection: Connection, key: Key) -> bool:
    """Note that the message of ``key`` is here; return whether it is so for the first time.

    In the transaction that applies the message: both are committed, or neither is.
    """
    head = _head(connection, key)
    if key.sequence <= head.acked:
        return False
    if key.sequence == head.acked + 1:
        acked = key.sequence
        if head.highest > acked:
            acked = _sweep(connection, key, acked=acked)
    else:
        if not insert_once(connection, t.received, _received(key)):
            return False
        acked = head.acked
    _advance(connection, key, acked=acked, highest=max(head.highest, key.sequence))
    return True


def lose(connection: Connection, key: Key) -> None:
    """Count the message of ``key``, which was taken, as lost: it cannot be understood."""
    connection.execute(
        update(t.streams).where(*_of(t.streams.c, key)).values(lost=t.streams.c.lost + 1)
    )


def oldest(connection: Connection, key: Key) -> int:
    """Count what is missing below ``key`` as lost on the device; return how many that are.

    The device says that it can send nothing older than ``key.sequence``.
    """
    head = _head(connection, key)
    below = key.sequence - 1
    if below <= head.acked:
        return 0
    c = t.received.c
    here = connection.scalar(
        select(func.count()).select_from(t.received).where(*_of(c, key), c.sequence <= below)
    )
    missing = below - head.acked - int(here or 0)
    connection.execute(
        update(t.streams).where(*_of(t.streams.c, key)).values(lost=t.streams.c.lost + missing)
    )
    acked = _sweep(connection, key, acked=below)
    _advance(connection, key, acked=acked, highest=max(head.highest, acked))
    return missing


def acked(connection: Connection, key: Key) -> int:
    """Return up to which sequence all of the key's stream is committed."""
    found = connection.scalar(select(t.streams.c.acked).where(*_of(t.streams.c, key)))
    return int(found or 0)


def heads(connection: Connection) -> dict[str, dict[str, int]]:
    """Return what is acknowledged to every device that is not revoked, by device and stream."""
    c, d = t.streams.c, t.devices.c
    rows = connection.execute(
        select(c.device, c.stream, c.acked).join(
            t.devices,
            (d.id == c.device) & (d.incarnation == c.incarnation) & d.revoked_ms.is_(None),
        )
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.device, {})[row.stream] = row.acked
    return found


def _head(connection: Connection, key: Key) -> Head:
    c = t.streams.c
    found = select(c.acked, c.highest).where(*_of(c, key)).with_for_update()
    row = connection.execute(found).one_or_none()
    if row is None:
        connection.execute(
            insert(t.streams).values(
                device=key.device,
                incarnation=key.incarnation,
                stream=key.stream,
                acked=0,
                highest=0,
                lost=0,
            )
        )
        return Head(0, 0)
    return Head(row.acked, row.highest)


def _sweep(connection: Connection, key: Key, *, acked: int) -> int:
    """Return how far all is here once it is up to ``acked``, and forget the keys below that."""
    c = t.received.c
    waiting = connection.scalars(
        select(c.sequence).where(*_of(c, key), c.sequence > acked).order_by(c.sequence)
    )
    for sequence in waiting:
        if sequence != acked + 1:
            break
        acked = sequence
    connection.execute(delete(t.received).where(*_of(c, key), c.sequence <= acked))
    return acked


def _advance(connection: Connection, key: Key, *, acked: int, highest: int) -> None:
    connection.execute(
        update(t.streams).where(*_of(t.streams.c, key)).values(acked=acked, highest=highest)
    )


def _of(columns: Any, key: Key) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401
    return (
        columns.device == key.device,
        columns.incarnation == key.incarnation,
        columns.stream == key.stream,
    )


def _received(key: Key) -> dict[str, object]:
    return {
        "device": key.device,
        "incarnation": key.incarnation,
        "stream": key.stream,
        "sequence": key.sequence,
    }
