"""Temperatures, from boards as their kernels show them."""

from pathlib import Path

from littoral.board.heat import accelerator_c, hot_c, slows_at_c, temperature_c
from simulators.boards import BoardSimulator


def test_the_hottest_part_of_the_processor_counts(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.zone(0, "CPU-therm", 51_000)
    board.zone(1, "GPU-therm", 53_500)
    board.zone(2, "battery", 99_000)
    assert temperature_c(tmp_path) == 53.5


def test_a_sensor_that_talks_nonsense_is_not_heard(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.zone(0, "cpu-thermal", -274_000)
    board.zone(1, "cpu-thermal", 45_000)
    board.put("sys/class/thermal/thermal_zone2/type", "cpu-thermal")
    assert temperature_c(tmp_path) == 45


def test_a_pc_without_zones_tells_by_its_processors_chip(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    for n, (name, milli) in enumerate((("nvme", 70_000), ("coretemp", 61_000))):
        board.put(f"sys/class/hwmon/hwmon{n}/name", name)
        board.put(f"sys/class/hwmon/hwmon{n}/temp1_input", str(milli))
    assert temperature_c(tmp_path) == 61


def test_a_board_without_sensors_says_nothing(tmp_path: Path) -> None:
    assert (temperature_c(tmp_path), accelerator_c(tmp_path)) == (None, None)


def test_an_edge_tpu_on_pcie_tells_its_own(tmp_path: Path) -> None:
    BoardSimulator(tmp_path).coral(67_300)
    assert accelerator_c(tmp_path) == 67.3


def test_the_kernel_says_from_where_it_slows_down_and_a_fans_trip_is_none(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.zone(0, "cpu-thermal", 40_000)
    for n, (kind, milli) in enumerate(
        (("active", 50_000), ("passive", 45_000), ("passive", 75_000), ("critical", 95_000))
    ):
        board.put(f"sys/class/thermal/thermal_zone0/trip_point_{n}_type", kind)
        board.put(f"sys/class/thermal/thermal_zone0/trip_point_{n}_temp", str(milli))
    assert slows_at_c(tmp_path) == hot_c(tmp_path) == 75


def test_a_board_that_names_no_temperature_is_hot_as_a_raspberry_pi_is(tmp_path: Path) -> None:
    assert (slows_at_c(tmp_path), hot_c(tmp_path)) == (None, 80)
