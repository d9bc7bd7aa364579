"""What every Linux tells."""

from pathlib import Path

from littoral.board import kernel
from littoral_agent.board import disk
from simulators.boards import BoardSimulator


def test_a_board_says_how_it_is(tmp_path: Path) -> None:
    board = BoardSimulator(tmp_path)
    board.raspberry()
    assert kernel.model(tmp_path) == "Raspberry Pi 4 Model B Rev 1.4"
    assert kernel.frequency_mhz(tmp_path) == 1500
    assert kernel.load(tmp_path) == 0.42
    assert kernel.uptime_s(tmp_path) == 86400.12
    assert kernel.memory_mib(tmp_path) == (1000, 500)
    assert kernel.cores(tmp_path) == 4
    assert kernel.boot(tmp_path).startswith("1b4e28ba-")


def test_a_pc_says_its_name_and_frequency_elsewhere(tmp_path: Path) -> None:
    for name, text in {
        "sys/class/dmi/id/sys_vendor": "LITTORAL\n",
        "sys/class/dmi/id/product_name": "Box 3\n",
        "proc/cpuinfo": "cpu MHz\t\t: 1000.0\n\ncpu MHz\t\t: 2000.5\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert kernel.model(tmp_path) == "LITTORAL Box 3"
    assert kernel.frequency_mhz(tmp_path) == 1500.25


def test_where_nothing_stands_nothing_is_said(tmp_path: Path) -> None:
    assert kernel.frequency_mhz(tmp_path) is kernel.load(tmp_path) is None
    assert kernel.memory_mib(tmp_path) == (None, None)
    assert (kernel.model(tmp_path), kernel.boot(tmp_path), kernel.cores(tmp_path)) == ("", "", 0)
    assert disk.room_mib(tmp_path / "none") == (None, None)


def test_this_machine_tells_something(tmp_path: Path) -> None:
    root = Path("/")
    whole, free = kernel.memory_mib(root)
    assert whole is not None
    assert free is not None
    assert 0 < free < whole
    size, room = disk.room_mib(tmp_path)
    assert size is not None
    assert room is not None
    assert 0 < room <= size
    assert kernel.cores(root) > 0
    assert kernel.load(root) is not None
