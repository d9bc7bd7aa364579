"""The board beside the measurement, from boards as their kernels show them."""

import threading
from pathlib import Path

from littoral_serve.bench.conditions import Watch, watched
from simulators.boards import BoardSimulator


def test_what_changed_while_it_was_measured_is_told(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.raspberry(milli=50_000)
    board.put("sys/class/hwmon/hwmon1/power1_input", "3000000")
    watch = Watch(tmp_path, iter(range(100)).__next__)
    watch.look()
    board.raspberry(milli=82_000, throttled=0x40005)
    board.put("sys/class/hwmon/hwmon1/power1_input", "5000000")
    watch.look()
    told = watch.told()
    assert told.samples == 2
    assert (told.throttled, told.under_voltage) == (1, 1)
    assert told.temperature_c is not None
    assert (told.temperature_c.low, told.temperature_c.high) == (50, 82)
    assert told.power_w is not None
    assert told.power_w.mean == 4
    assert told.frequency_mhz is not None
    assert told.frequency_mhz.mean == 1500
    assert told.load == 0.42
    assert [(one.at_s, one.throttled) for one in told.course] == [(1, False), (2, True)]


def test_a_board_that_tells_nothing_is_no_obstacle(tmp_path: Path) -> None:
    with watched(root=tmp_path) as watch:
        pass
    told = watch.told()
    assert (told.temperature_c, told.frequency_mhz, told.power_w, told.load) == (None,) * 4
    assert told.samples >= 1


def test_the_looking_ends_with_the_measuring(tmp_path: Path) -> None:
    before = threading.active_count()
    with watched(root=tmp_path):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
