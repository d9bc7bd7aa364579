"""A stick that udev hands over: mounted so that it can do no harm, written once, left by itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from littoral.errors import MisuseError, StorageError, UnreachableError
from littoral.tree import Tree
from littoral_agent import stick
from patience import patient
from simulators.fleet import Fleet

RULES: Final = Path(__file__).parents[2] / "systemd/sticks/70-littoral-stick.rules"
ROOT: Final = os.geteuid() == 0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, broker=False) as fleet:
        fleet.repo.publish(fleet.repo.bundle("digits", 1))
        fleet.enrol()
        fleet.console.stop()
        yield fleet


def medium(fleet: Fleet) -> Path:
    folder = fleet.repo.base / "stick"
    shutil.copytree(fleet.repo.folder, folder)
    (folder / "director").mkdir()
    word = fleet.repo.director(fleet.repo.assignment("digits", 1), device="pi-7", version=1)
    (folder / "director/pi-7.json").write_bytes(word)
    return folder


class Mounts:
    """What is done instead of mounting: the stick's files are laid out."""

    def __init__(self, folder: Path, place: Path, *, writable: bool = True) -> None:
        self.folder, self.place, self.writable = folder, place, writable
        self.done: list[str] = []

    def __call__(self, *words: object) -> None:
        self.done.append(" ".join(map(str, words)))
        if "remount" in self.done[-1]:
            if not self.writable:
                raise StorageError("write-protected")
            return
        assert not (self.place / "receipts").exists()
        shutil.copytree(self.folder, self.place, dirs_exist_ok=True)


def test_it_is_read_only_until_its_receipt_is_left(fleet: Fleet, tmp_path: Path) -> None:
    place = tmp_path / "place"
    mounts = Mounts(medium(fleet), place)
    with fleet.agent():
        fleet.wait(fleet.tree.desk.exists)
        taken = stick.take(fleet.tree, "sda1", place, wait_s=20, mount=mounts)
        assert (taken.well, [m.release for m in taken.models]) == (True, [1])
    harmless = "nosuid,nodev,noexec"
    assert mounts.done == [
        f"-t vfat,exfat,ext4 -o ro,{harmless} /dev/sda1 {place}",
        f"-o remount,rw,{harmless} {place}",
    ]
    assert (place / "receipts/pi-7.json").is_file()


def test_a_stick_that_cannot_be_written_is_taken_all_the_same(fleet: Fleet, tmp_path: Path) -> None:
    mounts = Mounts(medium(fleet), tmp_path / "place", writable=False)
    with fleet.agent():
        fleet.wait(fleet.tree.desk.exists)
        taken = stick.take(fleet.tree, "sda1", mounts.place, wait_s=20, mount=mounts)
        assert (taken.well, taken.receipt and taken.receipt.code) == (True, "storage")
        fleet.wait(lambda: fleet.good("digits") == 1)


def test_where_no_agent_runs_nothing_is_taken(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    mounts = Mounts(tmp_path / "stick", tmp_path / "place")
    with pytest.raises(UnreachableError):
        stick.take(Tree(tmp_path / "device"), "sda1", mounts.place, wait_s=1, mount=mounts)


@pytest.mark.parametrize("name", ["", "../sda1", "sda1/x", "-osuid", "SDA", "a" * 40, "sda1\n"])
def test_only_a_partitions_name_is_mounted(tmp_path: Path, name: str) -> None:
    def mount(*_: object) -> None:
        raise AssertionError

    with pytest.raises(MisuseError):
        stick.take(Tree(tmp_path), name, tmp_path, wait_s=1, mount=mount)


@contextmanager
def looped(image: Path, *kind: str) -> Iterator[str]:
    """Yield the name of a block device that is a stick with a file system labelled LITTORAL."""
    if not ROOT or shutil.which(kind[0]) is None or shutil.which("losetup") is None:
        pytest.skip("needs root, losetup and mkfs")
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run([*kind, image], check=True, capture_output=True)
    done = subprocess.run(
        ["losetup", "--find", "--show", image], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no loop device here: {done.stderr}")
    loop = done.stdout.strip()
    try:
        yield loop.removeprefix("/dev/")
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


_APART: Final = ("unshare", "--mount", "--propagation=private")
APART: Final = """\
import sys
from pathlib import Path
from littoral.tree import Tree
from littoral_agent import stick
root, name, place, source = sys.argv[1:]
if source:  # written by whoever made the stick
    import shutil, subprocess
    subprocess.run(["mount", "-t", "ext4", f"/dev/{name}", place], check=True)
    shutil.copytree(source, place, dirs_exist_ok=True)
    Path(place).chmod(0o755)
    subprocess.run(["umount", place], check=True)
taken = stick.take(Tree(Path(root)), name, Path(place), wait_s=20, mount=stick.mount)
print(taken.receipt.file, [m.release for m in taken.models])
line = [one for one in Path("/proc/self/mounts").read_text().splitlines() if place in one]
print(*line[0].split()[2:4])
"""


def apart(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run APART in a mount namespace of its own, as the unit does."""
    return subprocess.run(
        [*_APART, sys.executable, "-c", APART, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(60),
    )


def test_a_real_stick_is_mounted_for_nobody_else_and_left_by_itself(
    fleet: Fleet, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    source = medium(fleet)
    label = ("mkfs.ext4", "-q", "-L", "LITTORAL")
    with looped(tmp_path / "stick.img", *label) as name, fleet.agent():
        fleet.wait(fleet.tree.desk.exists)
        done = apart(fleet.tree.root, name, place, source)
        assert done.stdout.splitlines()[0] == "receipts/pi-7.json [1]", done.stderr
        kind, options = done.stdout.splitlines()[1].split()
        assert kind == "ext4"
        assert {"rw", "nosuid", "nodev", "noexec"} <= set(options.split(","))
        assert list(place.iterdir()) == [], "nobody else sees it, then or later"
        assert str(place) not in Path("/proc/mounts").read_text()
        again = apart(fleet.tree.root, name, place, "")  # what was left there is replaced
        assert again.stdout.splitlines()[0] == "receipts/pi-7.json [1]", again.stderr


def test_another_file_system_than_sticks_bear_is_not_mounted(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with looped(tmp_path / "stick.img", "mkfs.ext2", "-q") as name:
        subprocess.run(
            ["dd", "if=/dev/zero", f"of=/dev/{name}", "bs=1k", "count=64"],
            check=True,
            capture_output=True,
        )  # what is left of it is none
        done = apart(tmp_path / "device", name, place, "")
        assert "cannot be mounted" in done.stderr


def test_a_stick_starts_its_unit_only_where_the_rule_is_linked(tmp_path: Path) -> None:
    """By udev itself, with rules of our own; nothing of this machine's is touched."""
    if shutil.which("udevadm") is None:
        pytest.skip("no udevadm")
    label = ("mkfs.ext4", "-q", "-L", "LITTORAL")
    with looped(tmp_path / "stick.img", *label) as name:
        wanted = f"SYSTEMD_WANTS=littoral-stick@{name}.service"
        assert wanted in asked(tmp_path, name, bus="usb", linked=True)
        assert wanted not in asked(tmp_path, name, bus="usb", linked=False)
        assert wanted not in asked(tmp_path, name, bus="ata", linked=True)


def test_a_stick_of_another_label_starts_nothing(tmp_path: Path) -> None:
    if shutil.which("udevadm") is None:
        pytest.skip("no udevadm")
    with looped(tmp_path / "stick.img", "mkfs.ext4", "-q", "-L", "HOLIDAYS") as name:
        assert "littoral-stick" not in asked(tmp_path, name, bus="usb", linked=True)


def asked(tmp_path: Path, name: str, *, bus: str, linked: bool) -> str:
    """Return what udev would do for the block device ``name``, were it on that bus."""
    rules = tmp_path / f"rules-{bus}-{linked}"
    rules.mkdir()
    (rules / "60-bus.rules").write_text(
        f'SUBSYSTEM=="block", ENV{{ID_BUS}}="{bus}", IMPORT{{builtin}}="blkid"\n'
    )
    if linked:
        shutil.copy(RULES, rules)
    script = 'mount --bind "$1" /lib/udev/rules.d; mount -t tmpfs none /etc/udev; udevadm test "$2"'
    done = subprocess.run(
        [*_APART, "sh", "-c", script, "sh", rules, f"/sys/class/block/{name}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ID_FS_TYPE=ext4" in done.stdout, done.stderr
    return done.stdout
