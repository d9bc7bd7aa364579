"""How boards are, from what devices say to what is asked of the console."""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from littoral.wire.board import Board, BoardWindow, Reading, window
from littoral.wire.messages import Key, Status
from littoral.wire.telemetry import Telemetry
from littoral_console import ingest, queries
from littoral_console import tables as t
from littoral_console.context import Context
from littoral_console.ingest import Heard, Said
from littoral_console.options import Options
from littoral_console.server import open_context
from simulators.repository import RepositorySimulator

MIN_MS = 60_000
BLANK: dict[str, Any] = {
    "incarnation": 1,
    "labels": {},
    "created_ms": 0,
    "online": False,
    "software": "",
    "hardware": [],
    "serving": False,
    "director": 0,
}
BOARD = Board(
    model="Raspberry Pi 5 Model B Rev 1.0",
    boot="b",
    cores=4,
    memory_mib=8000,
    accelerators=("Edge TPU, USB, 1-1.2",),
    runtimes={"libedgetpu": "16.0"},
    alarms=("throttled",),
    now=Reading(temperature_c=81.5, throttled=True),
)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    publisher = RepositorySimulator(tmp_path)
    shutil.copytree(publisher.online, tmp_path / "data" / "keys")
    found = open_context(Options(data=tmp_path / "data"))
    for name in ("pi-1", "pi-2"):
        row = {**BLANK, "id": name, "serial": name}
        found.database.writer.write(partial(_keep, row=row))
    yield found
    found.database.close()


def _keep(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(t.devices).values(row))


def hear(context: Context, *said: Said, device: str = "pi-1") -> None:
    heard = [Heard(device=device, channel="mqtt", said=one) for one in said]
    effects = context.database.writer.write(
        lambda c: ingest.apply(c, heard, director=context.director, now_ms=context.clock())
    )
    assert effects.refused == 0


def told(
    minutes: int, *temperatures_c: float, device: str = "pi-1", throttled: bool = False
) -> Telemetry:
    readings = [
        Reading(temperature_c=c, load=1.0, disk_free_mib=100.0 - minutes, throttled=throttled)
        for c in temperatures_c
    ]
    return Telemetry(
        key=Key(device=device, incarnation=1, stream="t", sequence=minutes),
        start_ms=(minutes - 1) * MIN_MS,
        duration_ms=MIN_MS,
        series=(),
        board=window(readings),
    )


def windows(found: Sequence[queries.BoardPoint]) -> list[tuple[str, int, BoardWindow]]:
    return [(one.device, one.ends_ms // MIN_MS, one.window) for one in found]


def test_a_status_says_what_a_device_runs_on(context: Context) -> None:
    hear(context, Status(device="pi-1", incarnation=1, online=True, board=BOARD))
    first, second = context.read(queries.devices)
    assert first.board == BOARD
    assert second.board is None


def test_a_status_without_a_board_takes_none_for_granted(context: Context) -> None:
    hear(context, Status(device="pi-1", incarnation=1, online=True, board=BOARD))
    hear(context, Status(device="pi-1", incarnation=1, online=True))
    assert context.read(queries.devices)[0].board is None


def test_what_a_device_says_at_length_is_kept_short(context: Context) -> None:
    long = Board(
        model="x" * 10_000,
        accelerators=("y" * 1000,) * 50,
        runtimes={f"{n}" * 100: "z" * 1000 for n in range(50)},
        alarms=("a" * 1000,) * 100,
    )
    hear(context, Status(device="pi-1", incarnation=1, online=True, board=long))
    kept = context.read(lambda c: c.scalar(select(t.devices.c.board)))
    assert len(str(kept)) < 3000


def test_windows_are_kept_and_the_newest_is_found(context: Context) -> None:
    hear(context, told(1, 40.0), told(3, 50.0, 60.0), told(2, 45.0))
    hear(context, told(7, 20.0, device="pi-2"), device="pi-2")
    found = windows(context.read(lambda c: queries.board_windows(c, since_ms=2 * MIN_MS)))
    assert [one[:2] for one in found] == [("pi-1", 2), ("pi-1", 3), ("pi-2", 7)]
    newest = context.read(lambda c: queries.newest_boards(c, ["pi-1", "pi-2", "pi-3"]))
    assert {name: one.ends_ms // MIN_MS for name, one in newest.items()} == {"pi-1": 3, "pi-2": 7}
    detail = context.read(lambda c: queries.device(c, "pi-1"))
    assert detail is not None
    assert detail.board == newest["pi-1"]


def test_windows_of_a_step_are_merged_each_reading_once(context: Context) -> None:
    hear(context, told(1, 40.0, 40.0, 40.0), told(2, 80.0, throttled=True), told(5, 50.0))
    hear(context, told(2, 10.0, device="pi-2"), device="pi-2")
    found = context.read(
        lambda c: queries.board_windows(c, since_ms=0, step_ms=4 * MIN_MS, devices=["pi-1"])
    )
    (_, _, first), (_, at, _) = windows(found)
    assert first.temperature_c is not None
    assert (first.temperature_c.low, first.temperature_c.high) == (40, 80)
    assert first.temperature_c.mean == pytest.approx(50, abs=0.1)
    assert (first.samples, first.throttled, first.disk_free_mib) == (4, 1, 98)
    assert at == 5


def test_a_window_that_comes_twice_counts_once(context: Context) -> None:
    hear(context, told(1, 40.0))
    hear(context, told(1, 40.0))
    assert len(context.read(lambda c: queries.board_windows(c, since_ms=0))) == 1
