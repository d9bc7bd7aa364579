"""What somebody should look at, and for how long it is said."""

import pytest

from littoral.wire.board import Board, Reading
from littoral_agent.board.alarms import HOLD_S, Limits, held, of

BOARD = Board(memory_mib=1000)
LIMITS = Limits(hot_c=80, disk_low_mib=128)


@pytest.mark.parametrize(
    ("reading", "names"),
    [
        (Reading(), set()),
        (Reading(temperature_c=79.9, memory_free_mib=50, disk_free_mib=128), set()),
        (Reading(temperature_c=80), {"hot"}),
        (Reading(accelerator_c=85), {"hot"}),
        (Reading(throttled=True, under_voltage=True), {"throttled", "under-voltage"}),
        (Reading(memory_free_mib=49), {"memory-low"}),
        (Reading(disk_free_mib=127), {"disk-low"}),
    ],
)
def test_a_reading_is_judged_by_its_limits(reading: Reading, names: set[str]) -> None:
    assert of(reading, BOARD, LIMITS) == names


def test_an_alarm_holds_for_an_hour_and_stands_in_one_order() -> None:
    since = {"disk-low": 100.0, "hot": 50.0}
    assert held(since, 100.0) == ("hot", "disk-low")
    assert held(since, 50 + HOLD_S) == ("disk-low",)
    assert held(since, 100 + HOLD_S) == ()
