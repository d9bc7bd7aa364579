"""The power that a board says it takes."""

from pathlib import Path

from littoral.board.energy import power_w
from simulators.boards import BoardSimulator

CHIP = "sys/class/hwmon/hwmon1"


def test_a_jetson_is_believed_on_the_rail_that_feeds_all_others(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    for n, (label, millivolts, milliamperes) in enumerate(
        (("VDD_GPU_SOC", 5000, 400), ("VDD_IN", 19000, 500), ("VDD_CPU", 5000, 300)), 1
    ):
        board.put(f"{CHIP}/in{n}_label", label)
        board.put(f"{CHIP}/in{n}_input", str(millivolts))
        board.put(f"{CHIP}/curr{n}_input", str(milliamperes))
    assert power_w(tmp_path) == 9.5


def test_rails_that_are_not_known_are_not_added_up(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.put(f"{CHIP}/power1_input", "3200000")
    board.put(f"{CHIP}/power2_average", "1100000")
    assert power_w(tmp_path) == 3.2


def test_a_board_that_does_not_tell_is_none(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    assert power_w(tmp_path) is None
    board.put(f"{CHIP}/power1_input", "-5")
    board.put(f"{CHIP}/curr1_input", "400")  # of an unknown voltage
    assert power_w(tmp_path) is None
