"""What happens though nobody asks, with a clock that the test sets."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Table, insert, select

from littoral.wire.sketch import Sketch
from littoral_console import tables as t
from littoral_console.context import Context
from littoral_console.options import Options
from littoral_console.server import open_context
from littoral_console.upkeep import KEEP_TELEMETRY_MS, SILENT_MS, once
from simulators.repository import RepositorySimulator

DEVICE: dict[str, object] = {
    "incarnation": 1,
    "labels": {},
    "created_ms": 0,
    "online": True,
    "software": "",
    "hardware": [],
    "serving": False,
    "director": 0,
}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    publisher = RepositorySimulator(tmp_path)
    shutil.copytree(publisher.online, tmp_path / "data" / "keys")
    found = open_context(Options(data=tmp_path / "data"))
    yield found
    found.database.close()


def keep(context: Context, table: Table, row: dict[str, object]) -> None:
    context.database.writer.write(lambda c: c.execute(insert(table).values(row)))


def test_who_is_silent_is_not_online(context: Context) -> None:
    now_ms = context.clock()
    for name, seen_ms in (("quiet", now_ms - SILENT_MS - 1), ("loud", now_ms - SILENT_MS // 2)):
        row = {**DEVICE, "id": name, "serial": name, "last_seen_ms": seen_ms}
        keep(context, t.devices, row)
    asyncio.run(once(context))
    found = context.read(
        lambda c: c.scalars(select(t.devices.c.id).where(t.devices.c.online)).all()
    )
    assert found == ["loud"]


def test_through_the_broker_silence_is_what_the_device_did_not_promise(context: Context) -> None:
    """A window takes a quarter of an hour, in which it says nothing; its will would be told."""
    now_ms = context.clock()
    for name, channel, minutes in (
        ("between", "mqtt", 42),
        ("gone", "mqtt", 43),
        ("asks", "https", 4),
        ("mute", "https", 6),
    ):
        row = {
            **DEVICE,
            "id": name,
            "serial": name,
            "channel": channel,
            "heard_every_s": 900,
            "last_seen_ms": now_ms - minutes * 60_000,
        }
        keep(context, t.devices, row)
    asyncio.run(once(context))
    found = context.read(
        lambda c: c.scalars(select(t.devices.c.id).where(t.devices.c.online)).all()
    )
    assert set(found) == {"between", "asks"}


def test_old_telemetry_goes(context: Context) -> None:
    now_ms = context.clock()
    row = {**DEVICE, "id": "edge-1", "serial": "1", "last_seen_ms": now_ms}
    keep(context, t.devices, row)
    for n, start_ms in enumerate((now_ms - KEEP_TELEMETRY_MS - 1, now_ms), 1):
        window = {
            "device": "edge-1",
            "incarnation": 1,
            "stream": "t",
            "sequence": n,
            "start_ms": start_ms,
            "duration_ms": 1,
            "model": "m",
            "release": 1,
            "variant": "v",
            "stage": "invoke",
            "count": 0,
            "sketch": Sketch().encode(),
        }
        keep(context, t.telemetry, window)
        board = {name: window[name] for name in ("device", "incarnation", "stream", "sequence")}
        board |= {"start_ms": start_ms, "ends_ms": start_ms, "figures": b""}
        keep(context, t.board_windows, board)
    asyncio.run(once(context))
    assert context.read(lambda c: c.scalars(select(t.telemetry.c.sequence)).all()) == [2]
    assert context.read(lambda c: c.scalars(select(t.board_windows.c.sequence)).all()) == [2]


def test_without_a_repository_there_is_nothing_to_sign(context: Context) -> None:
    asyncio.run(once(context))
    assert context.repository.root is None
