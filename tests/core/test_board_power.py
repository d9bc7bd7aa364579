"""Slower than it could be, or short of power: as the firmware and the kernel say it."""

from pathlib import Path

import pytest

from littoral.board.power import look
from simulators.boards import BoardSimulator


@pytest.mark.parametrize(
    ("bits", "throttled", "under_voltage"),
    [
        (0x0, False, False),
        (0x1, False, True),
        (0x2, True, False),
        (0x4, True, False),
        (0x8, True, False),
        (0x50005, True, True),
        (0x50000, False, False),
    ],
)
@pytest.mark.parametrize("soc", ["soc", "soc@107c000000"])
def test_a_raspberry_pi_says_what_is_now(
    tmp_path: Path, soc: str, bits: int, *, throttled: bool, under_voltage: bool
) -> None:
    BoardSimulator(tmp_path).raspberry(throttled=bits, soc=soc)
    found = look(tmp_path)
    assert (found.throttled, found.under_voltage) == (throttled, under_voltage)


def test_what_happened_between_two_looks_is_not_missed_and_told_once(tmp_path: Path) -> None:
    """A dip of the supply takes milliseconds; the look comes once a minute."""
    board = BoardSimulator(tmp_path)
    board.raspberry(throttled=0)
    first = look(tmp_path)
    board.raspberry(throttled=0x50000)
    second = look(tmp_path, first)
    third = look(tmp_path, second)
    assert (second.throttled, second.under_voltage) == (True, True)
    assert (third.throttled, third.under_voltage) == (False, False)


def test_a_kernel_that_cools_by_a_lower_frequency_says_so(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.put("sys/class/thermal/cooling_device0/type", "pwm-fan")
    board.put("sys/class/thermal/cooling_device0/cur_state", "3")
    board.put("sys/class/thermal/cooling_device1/type", "cpufreq-cpu0")
    board.put("sys/class/thermal/cooling_device1/cur_state", "0")
    assert not look(tmp_path).throttled
    board.put("sys/class/thermal/cooling_device1/cur_state", "2")
    assert look(tmp_path).throttled


def test_a_pc_counts_how_often_it_was_slowed(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    board.put(count, "40")
    first = look(tmp_path)
    assert not first.throttled, "who knows when that was"
    board.put(count, "41")
    second = look(tmp_path, first)
    assert second.throttled
    assert not look(tmp_path, second).throttled


def test_the_hwmon_alarm_of_a_pi_is_heard(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.put("sys/class/hwmon/hwmon0/name", "rpi_volt")
    board.put("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1")
    assert look(tmp_path).under_voltage
