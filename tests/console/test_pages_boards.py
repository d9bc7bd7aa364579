"""What pages say of boards: words, columns of a chart, one line above the overview."""

from dataclasses import replace

from console.coast import Coast
from littoral.wire.board import Board, BoardWindow, Reading, Spread
from littoral_console import queries
from littoral_console.alarms import alarms
from littoral_console.health import facts, symptoms, temperature, uptime
from littoral_console.pages.boards import columns
from littoral_console.queries import BoardPoint

MIN_MS = 60_000
WINDOW = BoardWindow(
    samples=15,
    throttled=3,
    temperature_c=Spread(low=40, mean=61.26, high=82),
    memory_free_mib=Spread(low=400, mean=512, high=600),
    disk_free_mib=3000.0,
    uptime_s=90_000.0,
)


def point(minutes: int, window: BoardWindow = WINDOW) -> BoardPoint:
    return BoardPoint(device="pi-1", ends_ms=minutes * MIN_MS, window=window)


def test_the_last_window_is_told_with_units_and_of_how_much() -> None:
    said = {f.name: (f.value, f.note) for f in facts(Board(cores=4, memory_mib=1000), WINDOW)}
    assert said == {
        "Temperature": ("61.3 °C", ""),
        "Memory free": ("537 MB", "of 1.05 GB"),
        "Disk free": ("3.15 GB", ""),
        "Running for": ("1 d 1 h", ""),
    }


def test_before_the_first_window_the_status_tells() -> None:
    board = Board(cores=1, now=Reading(load=0.5, accelerator_c=50.0, temperature_c=40.0))
    said = {f.name: (f.value, f.note) for f in facts(board, None)}
    assert said == {
        "Temperature": ("40.0 °C", "accelerator 50.0 °C"),
        "Load": ("0.50", "on 1 core"),
    }
    assert facts(None, None) == []


def test_a_hole_in_time_is_no_line() -> None:
    found = columns([point(15), point(30), point(90)], hole_ms=40 * MIN_MS)
    assert found["t"] == [900, 1800, 1800.001, 5400]
    assert found["temperature_c"]["mean"] == [61.26, 61.26, None, 61.26]
    assert found["throttled"] == [3, 3, 0, 3]
    assert "load" not in found, "no reading ever had one"


def test_short_words() -> None:
    assert temperature(WINDOW) == "61 °C"
    assert temperature(BoardWindow(samples=1)) == ""
    assert uptime(7_320) == "2 h 2 min"


def test_what_is_to_be_looked_at_is_said_of_devices_that_are_some(coast: Coast) -> None:
    every = {device.id: device for device in coast.context.read(queries.devices)}
    found = every["lock-west"]
    assert [one.text for one in symptoms(found)] == ["under-voltage", "disk low"]
    assert symptoms(replace(found, revoked_ms=1)) == []
    newer = replace(found, board=Board(alarms=("sea-sick",)))
    assert [one.text for one in symptoms(newer)] == ["sea-sick"]


def test_one_line_for_all_boards(coast: Coast) -> None:
    devices = coast.context.read(queries.devices)
    (first,) = alarms(devices, endings=(), claims=0, now_ms=0)
    assert first.text == ("2 boards need a look: 1 under-voltage, 1 disk low, 1 hot, 1 throttled")
    assert (first.kind, first.where, first.tone) == ("board", "/devices?state=board", "bad")
    assert first.devices == ("lock-west", "quay-cam-2")
