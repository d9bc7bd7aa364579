"""Which messages of a device are here: each is taken once, and gaps are counted.

A stream's ``acked`` says that all up to it is committed, or was lost on the device. What
arrived above it waits in ``received`` until the gap below is filled, or the device says
that it cannot be.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select, update

from littoral.wire.messages import Key
from littoral_console import tables as t
from littoral_console.database import insert_once


@dataclass(frozen=True, slots=True)
class Head:
    """How far a stream has come."""

    acked: int
    highest: int


@dataclass(frozen=True, slots=True)
class Taken:
    first: bool  # for the first time
    acked: int  # up to which all of its stream is committed


def take(connection: Connection, key: Key) -> Taken:
    """Note that the message of ``key`` is here.

    In the transaction that applies the message: both are committed, or neither is.
    """
    head = _head(connection, key)
    if key.sequence <= head.acked:
        return Taken(first=False, acked=head.acked)
    if key.sequence == head.acked + 1:
        acked = key.sequence
        if head.highest > acked:
            acked = _sweep(connection, key, acked=acked)
    elif insert_once(connection, t.received, _received(key)):
        acked = head.acked
    else:
        return Taken(first=False, acked=head.acked)
    _advance(connection, key, acked=acked, highest=max(head.highest, key.sequence))
    return Taken(first=True, acked=acked)


def lose(connection: Connection, key: Key) -> None:
    """Count the message of ``key``, which was taken, as lost: it cannot be understood."""
    connection.execute(
        update(t.streams).where(*_of(t.streams.c, key)).values(lost=t.streams.c.lost + 1)
    )


def oldest(connection: Connection, key: Key) -> int | None:
    """Count what is missing below ``key`` as lost on the device: nothing older can be sent.

    Return up to which sequence all is acknowledged now, None when that changes nothing.
    """
    head = _head(connection, key)
    below = key.sequence - 1
    if below <= head.acked:
        return None
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
    return acked


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
    row = connection.execute(_HEAD, _bound(key)).one_or_none()
    if row is None:
        new = {**_received(key), "acked": 0, "highest": 0, "lost": 0}
        del new["sequence"]
        connection.execute(insert(t.streams), new)
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
    connection.execute(_ADVANCE, {**_bound(key), "acked": acked, "highest": highest})


def _of(columns: Any, key: Key) -> tuple[ColumnElement[bool], ...]:  # noqa: ANN401
    return (
        columns.device == key.device,
        columns.incarnation == key.incarnation,
        columns.stream == key.stream,
    )


def _bound(key: Key) -> dict[str, object]:
    return {"of_device": key.device, "of_incarnation": key.incarnation, "of_stream": key.stream}


def _received(key: Key) -> dict[str, object]:
    return {
        "device": key.device,
        "incarnation": key.incarnation,
        "stream": key.stream,
        "sequence": key.sequence,
    }


# Built once: these run for every message.
_MINE: Final = (
    t.streams.c.device == bindparam("of_device"),
    t.streams.c.incarnation == bindparam("of_incarnation"),
    t.streams.c.stream == bindparam("of_stream"),
)
_HEAD: Final = select(t.streams.c.acked, t.streams.c.highest).where(*_MINE).with_for_update()
_ADVANCE: Final = (
    update(t.streams).where(*_MINE).values(acked=bindparam("acked"), highest=bindparam("highest"))
)
