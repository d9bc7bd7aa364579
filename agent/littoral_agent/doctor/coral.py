"""Corals as the kernel, udev and systemd have them. Whether one works is tried in runtimes.py."""

import grp
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral.board import heat
from littoral.board.files import found, number, text
from littoral_agent.doctor.finding import Finding, Place, fail, ok, skip, warn

_FRESH: Final = ("1a6e", "089a")  # until the library has sent its firmware
_USB: Final = {_FRESH, ("18d1", "9302")}
_PCIE: Final = ("0x1ac1", "0x089a")
_USB3_MBIT: Final = 5000
_PI5_PAGE: Final = 16384
_RULES: Final = ("etc/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_DROP_INS: Final = "etc/systemd/system/littoral-serve.service.d"
_UNIT: Final = ("usr/lib/systemd/system", "lib/systemd/system", "etc/systemd/system")
_ADD_RULE: Final = (
    'echo \'SUBSYSTEM=="usb", ATTRS{idVendor}=="1a6e|18d1", ATTRS{idProduct}=="089a|9302", '
    'GROUP="plugdev", MODE="0660"\' | sudo tee /etc/udev/rules.d/60-coral.rules\n'
    "sudo udevadm control --reload && sudo udevadm trigger"
)
_ADD_APEX_RULE: Final = (
    'echo \'SUBSYSTEM=="apex", GROUP="apex", MODE="0660"\' '
    "| sudo tee /etc/udev/rules.d/65-apex.rules\n"
    "sudo groupadd --system --force apex\n"
    "sudo udevadm control --reload && sudo udevadm trigger"
)
_SMALL_PAGES: Final = (
    "echo kernel=kernel8.img | sudo tee -a /boot/firmware/config.txt && sudo reboot"
)
_INSTALL: Final = "sudo apt-get install gasket-dkms && sudo modprobe apex"
_BUILD: Final = (
    "sudo apt-get install linux-headers-$(uname -r) && sudo dkms autoinstall\n"
    "sudo modprobe apex  # kernels from 6.4 on need a newer gasket-dkms than Google's"
)


@dataclass(frozen=True, slots=True)
class _Stick:
    name: str
    ids: tuple[str, str]
    node: Path
    mbit: int | None

    def __str__(self) -> str:
        speed = f", {self.mbit} Mbit/s" if self.mbit else ""
        fresh = ", its firmware not loaded yet" if self.ids == _FRESH else ""
        return f"{':'.join(self.ids)} at {self.name}{speed}{fresh}"


def usb(place: Place) -> Finding:
    """Check each Coral on USB: who may open it, how fast it is, and whether serve sees it."""
    sticks = list(_sticks(place.root))
    if not sticks:
        return skip("no Coral on USB")
    said = "; ".join(map(str, sticks))
    for stick in sticks:
        if (wrong := _closed(stick.node, "plugdev")) is not None:
            ruled = any("1a6e" in (text(rule) or "") for rule in _rules(place.root))
            again = "sudo udevadm trigger  # or unplug it and plug it in again"
            return fail(said, wrong, do=again if ruled else _ADD_RULE)
    if (hidden := _hidden(place.root, "coral-usb", word="usb_device")) is not None:
        return fail(said, hidden[0], do=hidden[1])
    slow = [stick.name for stick in sticks if stick.mbit and stick.mbit < _USB3_MBIT]
    if slow:
        wrong = f"{', '.join(slow)} is on USB 2: inputs and outputs take ten times as long"
        return warn(said, wrong, do="plug it into a blue port, with a cable for USB 3")
    return ok(said)


def pcie(place: Place) -> Finding:
    """Check each Coral on PCIe: its driver, its node, who may open it, whether serve sees it."""
    cards = [
        card
        for card in found(place.root, "sys/bus/pci/devices/*")
        if (text(card / "vendor"), text(card / "device")) == _PCIE
    ]
    if not cards:
        return skip("no Coral on PCIe")
    said = ", ".join(f"1ac1:089a at {card.name}" for card in cards)
    nodes = list(found(place.root, "dev/apex_*"))
    wrong = _without_driver(place.root, cards) or _without_node(place.root, nodes)
    if wrong is not None:
        return fail(said, wrong[0], do=wrong[1])
    return ok(f"{said}, {', '.join(node.name for node in nodes)}{_warmth(place.root)}")


def _without_driver(root: Path, cards: list[Path]) -> tuple[str, str] | None:
    if (page := os.sysconf("SC_PAGE_SIZE")) == _PI5_PAGE:
        return f"its driver needs pages of 4 KiB; this kernel's have {page // 1024}", _SMALL_PAGES
    if all((card / "driver").exists() for card in cards):
        return None
    kernel = text(root / "proc/sys/kernel/osrelease") or os.uname().release
    built = f"lib/modules/{kernel}"
    if found(root, f"{built}/*/dkms/apex.ko*") or found(root, f"{built}/**/gasket/apex.ko*"):
        return f"its driver is there for {kernel}, and not loaded", "sudo modprobe apex"
    if found(root, "usr/src/gasket-*"):
        return f"DKMS has built no driver for this kernel, {kernel}", _BUILD
    return "its driver, gasket and apex, is not installed", _INSTALL


def _without_node(root: Path, nodes: list[Path]) -> tuple[str, str] | None:
    if not nodes:
        do = "sudo modprobe -r apex && sudo modprobe apex; then: sudo dmesg | grep -i apex"
        return "its driver runs, and there is no /dev/apex_0", do
    closed = next((wrong for node in nodes if (wrong := _closed(node, "apex")) is not None), None)
    if closed is not None:
        return closed, _ADD_APEX_RULE
    return _hidden(root, "coral-pcie", word="apex")


def _sticks(root: Path) -> Iterator[_Stick]:
    for device in found(root, "sys/bus/usb/devices/*"):
        ids = (text(device / "idVendor") or "", text(device / "idProduct") or "")
        bus, number_ = number(device / "busnum"), number(device / "devnum")
        if ids in _USB and bus is not None and number_ is not None:
            node = root / f"dev/bus/usb/{bus:03}/{number_:03}"
            yield _Stick(device.name, ids, node, number(device / "speed"))


def _closed(node: Path, group: str) -> str | None:
    """Return why serve, which has the group of its drop-in, may not open ``node``."""
    try:
        held = node.stat()
    except FileNotFoundError:
        return f"there is no {node}: udev did not make it"
    needed = stat.S_IRGRP | stat.S_IWGRP
    if held.st_mode & stat.S_IROTH and held.st_mode & stat.S_IWOTH:
        return None
    if held.st_mode & needed == needed and _name(held.st_gid) == group:
        return None
    mode = stat.S_IMODE(held.st_mode)
    return f"{node} is {mode:04o} of the group {_name(held.st_gid)}; serve needs 0660 of {group}"


def _name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _hidden(root: Path, drop_in: str, *, word: str) -> tuple[str, str] | None:
    """Return what is wrong, and what to do, where serve's unit does not let it see the device."""
    if not any((root / folder / "littoral-serve.service").exists() for folder in _UNIT):
        return None
    if any(word in (text(conf) or "") for conf in found(root, f"{_DROP_INS}/*.conf")):
        return None
    do = (
        f"sudo mkdir -p /{_DROP_INS}\n"
        f"sudo ln -s /usr/share/littoral-agent/drop-ins/{drop_in}.conf /{_DROP_INS}/\n"
        "sudo systemctl daemon-reload && sudo systemctl restart littoral-serve"
    )
    return "serve's unit does not let it see the device", do


def _warmth(root: Path) -> str:
    degrees = heat.accelerator_c(root)
    return "" if degrees is None else f", {degrees:.0f} °C"


def _rules(root: Path) -> Iterator[Path]:
    for folder in _RULES:
        yield from found(root, f"{folder}/*.rules")
