"""Each message is taken once, in whatever order and however often it comes."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from littoral.wire.messages import Key
from littoral_console import streams
from littoral_console import tables as t
from littoral_console.database import Database, default_url
from littoral_console.streams import Taken


def key(sequence: int, stream: str = "reports") -> Key:
    return Key(device="edge-1", incarnation=1, stream=stream, sequence=sequence)


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[Callable[[Connection], object]], object]]:
    database = Database(default_url(tmp_path))
    device = {
        "id": "edge-1",
        "serial": "1",
        "incarnation": 1,
        "labels": {},
        "created_ms": 0,
        "online": False,
        "software": "",
        "hardware": [],
        "serving": False,
        "director": 0,
    }
    database.writer.write(lambda c: c.execute(insert(t.devices).values(device)))
    yield database.writer.write
    database.close()


Write = Callable[[Callable[[Connection], object]], object]


def head(connection: Connection) -> tuple[int, int, int]:
    row = connection.execute(select(t.streams)).one()
    return row.acked, row.highest, row.lost


def waiting(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(t.received)) or 0


def test_a_message_is_taken_once(write: Write) -> None:
    assert write(lambda c: streams.take(c, key(1))) == Taken(first=True, acked=1)
    assert write(lambda c: streams.take(c, key(1))) == Taken(first=False, acked=1)


def test_a_gap_holds_the_acknowledgement_back_until_it_is_filled(write: Write) -> None:
    for sequence in (1, 3, 4):
        write(partial(streams.take, key=key(sequence)))
    assert write(head) == (1, 4, 0)
    assert write(lambda c: streams.take(c, key(4))) == Taken(first=False, acked=1)
    assert write(lambda c: streams.take(c, key(2))) == Taken(first=True, acked=4)
    assert write(head) == (4, 4, 0)
    assert write(waiting) == 0


def test_what_the_device_dropped_is_counted_and_acknowledged_over(write: Write) -> None:
    for sequence in (1, 5, 6, 9):
        write(partial(streams.take, key=key(sequence)))
    assert write(lambda c: streams.oldest(c, key(6))) == 6  # 2, 3, 4 will never come
    assert write(head) == (6, 9, 3)
    assert write(lambda c: streams.oldest(c, key(6))) is None
    assert write(lambda c: streams.oldest(c, key(20))) == 19  # 7, 8, 10 … 19 neither
    assert write(head) == (19, 19, 15)
    assert write(lambda c: streams.take(c, key(8))) == Taken(first=False, acked=19)


def test_any_order_with_any_repetition_ends_the_same(write: Write) -> None:
    chance = random.Random(7)
    order = [n for n in range(1, 60) for _ in range(chance.randint(1, 4))]
    chance.shuffle(order)
    taken = write(lambda c: [n for n in order if streams.take(c, key(n)).first])
    assert sorted(taken) == list(range(1, 60))  # type: ignore[call-overload]
    assert write(head) == (59, 59, 0)
    assert write(waiting) == 0


def test_streams_do_not_know_of_each_other(write: Write) -> None:
    write(lambda c: streams.take(c, key(1, "a")))
    assert write(lambda c: streams.take(c, key(1, "b"))) == Taken(first=True, acked=1)
