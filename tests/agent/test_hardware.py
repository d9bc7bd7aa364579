"""What is claimed of a board, from a tree of files that looks like one."""

import platform
from pathlib import Path

import pytest

from littoral_agent.hardware import detect, serial


def stick(root: Path, vendor: str, product: str) -> None:
    device = root / "sys/bus/usb/devices/1-1"
    device.mkdir(parents=True)
    (device / "idVendor").write_text(vendor + "\n")
    (device / "idProduct").write_text(product + "\n")


def test_a_board_with_nothing_on_it_has_its_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert detect(tmp_path) == ("cpu-aarch64",)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert detect(tmp_path) == ()


@pytest.mark.parametrize("ids", [("1a6e", "089a"), ("18d1", "9302")])
def test_a_stick_is_known_before_and_after_its_firmware(
    tmp_path: Path, ids: tuple[str, str]
) -> None:
    stick(tmp_path, *ids)
    assert "edgetpu-usb" in detect(tmp_path)


def test_other_sticks_and_ports_without_ids_are_none(tmp_path: Path) -> None:
    stick(tmp_path, "046d", "c077")
    (tmp_path / "sys/bus/usb/devices/usb1").mkdir()
    assert "edgetpu-usb" not in detect(tmp_path)


@pytest.mark.parametrize("place", ["dev/apex_0", "sys/class/apex/apex_0"])
def test_a_card_is_found_by_its_node_or_its_driver(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert detect(tmp_path)[0] == "edgetpu-pcie"


def test_the_serial_is_the_boards_else_the_machines(tmp_path: Path) -> None:
    assert serial(tmp_path) == ""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("abc\n")
    assert serial(tmp_path) == "abc"
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/serial-number").write_text("10000000abcd\0")
    assert serial(tmp_path) == "10000000abcd"
