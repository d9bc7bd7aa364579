"""The machine that a result names, from boards as their kernels show them."""

import platform
from pathlib import Path

import pytest

from littoral_serve.bench import host
from simulators.boards import BoardSimulator

PC = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7B13\ncpu MHz\t: 2449.998\n"
PI = "processor\t: 0\nCPU part\t: 0xd08\n\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n"


@pytest.mark.parametrize(
    ("cpuinfo", "processor"),
    [
        (PC, "AMD EPYC 7B13"),
        (PI, "BCM2835"),
        (ARM, f"{platform.machine()} 0xd08"),
        ("", platform.machine()),
    ],
)
def test_a_processor_is_called_what_its_kernel_calls_it(
    tmp_path: Path, cpuinfo: str, processor: str
) -> None:
    board = BoardSimulator(tmp_path)
    board.put("proc/cpuinfo", cpuinfo)
    assert host.describe("LiteRT", root=tmp_path).processor == processor


def test_a_board_tells_its_name_its_cores_its_memory_and_its_clock(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.raspberry()
    board.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand")
    told = host.describe("LiteRT 2", root=tmp_path)
    assert told.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert (told.cores, told.memory_mib, told.governor) == (4, 1000, "ondemand")
    assert told.runtime == "LiteRT 2"


def test_a_board_that_tells_nothing_is_no_obstacle(tmp_path: Path) -> None:
    told = host.describe("LiteRT", root=tmp_path)
    assert (told.board, told.cores, told.memory_mib, told.governor) == ("", 0, 0, None)
