"""Corals as a kernel shows them, in every state that people ask about."""

import os
import shutil
from pathlib import Path

import pytest

from littoral.tree import Tree
from littoral_agent.doctor import coral
from littoral_agent.doctor.finding import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A machine of which every file is of the group that the drivers' rules name."""
    monkeypatch.setattr(coral, "_name", lambda _gid: "plugdev")
    return Place(Tree(tmp_path / "data"), tmp_path)


def stick(root: Path, *, ids: str = "18d1:9302", speed: int = 5000, mode: int = 0o660) -> Path:
    folder = root / "sys/bus/usb/devices/2-1"
    folder.mkdir(parents=True, exist_ok=True)
    vendor, product = ids.split(":")
    told = {"idVendor": vendor, "idProduct": product, "busnum": 2, "devnum": 7, "speed": speed}
    for name, value in told.items():
        (folder / name).write_text(f"{value}\n")
    node = root / "dev/bus/usb/002/007"
    node.parent.mkdir(parents=True, exist_ok=True)
    node.touch()
    node.chmod(mode)
    return node


def unit(root: Path) -> None:
    folder = root / "usr/lib/systemd/system"
    folder.mkdir(parents=True)
    (folder / "littoral-serve.service").touch()


def drop_in(root: Path, name: str) -> None:
    folder = root / "etc/systemd/system/littoral-serve.service.d"
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / f"systemd/drop-ins/{name}.conf", folder)


def test_none_is_nothing_to_look_at(place: Place) -> None:
    assert coral.usb(place).state == coral.pcie(place).state == "skip"


def test_a_stick_that_is_well(place: Place) -> None:
    stick(place.root)
    assert coral.usb(place).found == "18d1:9302 at 2-1, 5000 Mbit/s"
    stick(place.root, ids="1a6e:089a", speed=480)
    found = coral.usb(place)
    assert "its firmware not loaded yet" in found.found
    assert (found.state, "on USB 2" in found.wrong) == ("warn", True)


def test_a_stick_that_udev_gave_to_nobody(place: Place) -> None:
    node = stick(place.root, mode=0o600)
    found = coral.usb(place)
    assert found.state == "fail"
    assert f"{node} is 0600 of the group plugdev; serve needs 0660 of plugdev" in found.wrong
    assert "/etc/udev/rules.d/60-coral.rules" in found.do
    rules = place.root / "etc/udev/rules.d"
    rules.mkdir(parents=True)
    (rules / "60-coral.rules").write_text('ATTRS{idVendor}=="1a6e"\n')
    assert coral.usb(place).do.startswith("sudo udevadm trigger")
    node.unlink()
    assert "udev did not make it" in coral.usb(place).wrong


def test_a_stick_of_another_group(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stick(place.root)
    monkeypatch.setattr(coral, "_name", lambda _gid: "root")
    assert "0660 of the group root; serve needs 0660 of plugdev" in coral.usb(place).wrong
    stick(place.root, mode=0o666)
    assert coral.usb(place).state == "ok", "everybody may"


@pytest.mark.parametrize("which", ["usb", "pcie"])
def test_a_unit_that_hides_the_device(
    place: Place, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    stick(place.root)
    card(place.root)
    monkeypatch.setattr(coral, "_name", lambda _gid: "plugdev" if which == "usb" else "apex")
    look = coral.usb if which == "usb" else coral.pcie
    unit(place.root)
    found = look(place)
    assert found.state == "fail"
    assert f"/usr/share/littoral-agent/drop-ins/coral-{which}.conf" in found.do
    drop_in(place.root, f"coral-{which}")
    assert look(place).state == "ok"


def card(root: Path, *, driver: bool = True, node: bool = True) -> None:
    folder = root / "sys/bus/pci/devices/0000:01:00.0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vendor").write_text("0x1ac1\n")
    (folder / "device").write_text("0x089a\n")
    if driver:
        (folder / "driver").mkdir(exist_ok=True)
    if node:
        (root / "dev").mkdir(exist_ok=True)
        (root / "dev/apex_0").touch()
        (root / "dev/apex_0").chmod(0o660)


def test_a_card_that_is_well(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coral, "_name", lambda _gid: "apex")
    card(place.root)
    apex = place.root / "sys/class/apex/apex_0"
    apex.mkdir(parents=True)
    (apex / "temp").write_text("52800\n")
    assert coral.pcie(place).found == "1ac1:089a at 0000:01:00.0, apex_0, 53 °C"


def test_each_way_in_which_its_driver_is_missing(place: Place) -> None:
    card(place.root, driver=False, node=False)
    assert coral.pcie(place).do == "sudo apt-get install gasket-dkms && sudo modprobe apex"
    (place.root / "usr/src/gasket-1.0").mkdir(parents=True)
    found = coral.pcie(place)
    assert f"DKMS has built no driver for this kernel, {os.uname().release}" in found.wrong
    assert "dkms autoinstall" in found.do
    built = place.root / f"lib/modules/{os.uname().release}/updates/dkms"
    built.mkdir(parents=True)
    (built / "apex.ko.xz").touch()
    assert coral.pcie(place).do == "sudo modprobe apex"
    card(place.root, node=False)
    assert "there is no /dev/apex_0" in coral.pcie(place).wrong
    card(place.root)
    found = coral.pcie(place)
    assert "serve needs 0660 of apex" in found.wrong
    assert "65-apex.rules" in found.do


def test_a_kernel_with_pages_that_the_driver_cannot_use(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(place.root)
    monkeypatch.setattr(os, "sysconf", lambda _name: 16384)
    assert "kernel=kernel8.img" in coral.pcie(place).do
