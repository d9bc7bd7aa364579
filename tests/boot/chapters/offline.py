"""Releases that come without a network, under the units' hardening: on a stick, and on a share.

All are file systems of their own on a block device, plugged in while the agent runs. A machine
below systemd-nspawn has no udev: what its rule starts is started by hand, and tests/agent asks
udev itself about the rule.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from boot.chapters.settings import also
from boot.machine import Machine
from boot.world import DEVICE, MODEL, World
from stage import expect, wait_for

STICK: Final = "/media/stick"
SHARE: Final = "/mnt/releases"
HOME: Final = "/root/stick"  # where the unit looks at nothing
_DAYS: Final = ("--days", "30")
_BYTES: Final = 64 << 20
_LOOPS: Final = 7  # the major number of loop devices


def offline(world: World) -> dict[str, Any]:
    """``littoral install`` by whom it is for, and by who is nobody; then a folder of the settings.

    All of it while the device reaches nobody; afterwards the console hears what was done.
    """
    device = world.device
    first = int(world.serves().partition(":")[2])
    world.ground.unplug(DEVICE)
    folder = export(world, 3 - first)
    with plugged(world, folder, STICK) as kind:
        said = refused(device, "runuser", "-u", "nobody", "--", "littoral", "install", STICK)
        expect(f"{MODEL}:{first}" == world.serves(), "nothing from nobody", said)
        shut = denied(device)
        told = install(world, STICK)
    proven(world, 3 - first)
    with plugged(world, export(world, first), HOME):
        install(world, HOME)
    proven(world, first)
    with also(device, f'sources = ["https", "dir:{SHARE}"]\n'):
        device.sh(f"mkdir -p {SHARE}")  # the agent runs, and nothing is there yet
        with plugged(world, export(world, 3 - first), SHARE):
            proven(world, 3 - first)
    by_itself = unit(world, export(world, first), first)
    world.ground.plug(DEVICE)
    world.wait_running(f"{MODEL}:{first}")
    return {
        "file_system": kind,
        "at_once": told["verdict"],
        "as_nobody": said,
        "unreadable": shut,
        "by_itself": by_itself,
        "reports": world.whole(),
    }


def export(world: World, release: int) -> Path:
    """Return a folder with the model, and with the word that the device shall run ``release``."""
    folder, house = world.stage.work / "stick", world.house
    house.push(f"{MODEL}:{release}", DEVICE)
    online = ("--online", house.data / "keys", "--model", MODEL)
    world.stage.littoral("repo", "export", house.data / "repo", folder, *online, *_DAYS)
    house.fleet("export", folder, "--to", DEVICE, *_DAYS)
    return folder


@contextmanager
def plugged(world: World, folder: Path, where: str) -> Iterator[str]:
    """Let the device find a stick with what ``folder`` holds at ``where``; yield its file system.

    It is pulled as people pull it: nothing may be held open there.
    """
    image, device = world.stage.work / "stick.img", world.device
    kind = fill(image, folder)
    loop = command("losetup", "--find", "--show", image).strip()
    try:
        number = loop.removeprefix("/dev/loop")
        device.sh(
            f"mkdir -p {where}; rm -f /dev/stick; mknod /dev/stick b {_LOOPS} {number};"
            f" mount -t {kind} -o nosuid,nodev,noexec /dev/stick {where}"
        )
    finally:
        command("losetup", "--detach", loop)  # once nobody has it mounted
    yield kind
    device.run("umount", where)


def unit(world: World, folder: Path, release: int) -> str:
    """Let systemd take a stick as udev's rule has it do; return what the unit says of it."""
    device, image = world.device, world.stage.work / "stick.img"
    rule = "/usr/share/littoral-agent/sticks/70-littoral-stick.rules"
    device.sh(f"test -f {rule}; ! find /etc/udev /usr/lib/udev -name '*littoral*' | grep .")
    kind = fill(image, folder)
    loop = command("losetup", "--find", "--show", image).strip()
    try:
        number = loop.removeprefix("/dev/loop")
        device.sh(f"rm -f /dev/stick; mknod /dev/stick b {_LOOPS} {number}")
        device.run("systemctl", "start", "littoral-stick@stick.service")
        mounted = device.run("cat", "/proc/mounts")
        expect("stick" not in mounted, "nothing mounted", mounted)
    finally:
        command("losetup", "--detach", loop)
    proven(world, release)
    said = device.journal("-u", "littoral-stick@stick", "-o", "cat")
    expect(f"{MODEL}: release {release} is " in said, "a release that was taken", said)
    expect("receipt: receipts/" in said, "a receipt", said)
    expect(read(image, kind, f"receipts/{DEVICE}.json") > 0, "it, on the stick", said)
    return next(line for line in said.splitlines() if line.startswith(MODEL))


def read(image: Path, kind: str, name: str) -> int:
    """Return how long a file on a stick is, once it was pulled."""
    at = image.with_suffix(".at")
    command("mount", "-t", kind, "-o", "loop,ro", image, at)
    try:
        return (at / name).stat().st_size
    finally:
        command("umount", at)


def fill(image: Path, folder: Path) -> str:
    """Make a stick with what ``folder`` holds: FAT where this kernel has it, as sticks are."""
    fat = "\tvfat\n" in Path("/proc/filesystems").read_text() and shutil.which("mkfs.vfat")
    kind = "vfat" if fat else "ext4"
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(_BYTES)
    command(f"mkfs.{kind}", image)
    at = image.with_suffix(".at")
    at.mkdir(exist_ok=True)
    command("mount", "-o", "loop", image, at)
    try:
        shutil.copytree(folder, at, dirs_exist_ok=True, copy_function=shutil.copyfile)
        if kind == "ext4":
            at.chmod(0o755)
    finally:
        command("umount", at)
    return kind


def command(*words: str | Path) -> str:
    return subprocess.run(
        words, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ).stdout


def install(world: World, where: str) -> dict[str, Any]:
    """Return what the command says of the model, typed as root."""
    said = json.loads(world.device.run("littoral", "install", where, "--json"))
    (one,) = (one for one in said["models"] if one["model"] == MODEL)
    expect(one["verdict"] in {"proven", "on probation"}, "a release that was tried", said)
    return dict(one)


def refused(machine: Machine, *words: str) -> str:
    """Return the code with which a command ends that must not do what it says.

    What it refuses is one line; a receipt may tell of it on the medium.
    """
    said = machine.sh(f'{" ".join(words)} 2>&1 && echo "exit 0" || echo "exit $?"').strip()
    line, *receipt, exits = said.split("\n")
    told = all(more.startswith("receipt: ") for more in receipt)
    expect(exits != "exit 0" and told, "one line of a refusal", said)
    code = line.rpartition("[")[2].rstrip("]")
    expect(line.endswith("]") and code != line, "a code", said)
    return code


def denied(machine: Machine) -> str:
    """Return the code for a folder that root alone may look into."""
    shut = "/root/shut"
    machine.sh(f"cp -r {STICK} {shut}; chmod -R go= {shut}")
    code = refused(machine, "littoral", "install", shut)
    machine.sh(f"rm -r {shut}")
    expect(code == "denied", "the code 'denied'", code)
    return code


def proven(world: World, release: int) -> None:
    """Wait until the device itself says that ``release`` is good; nobody else is reached."""

    def probe() -> bool | None:
        said = json.loads(world.device.run("littoral", "status", "--json"))
        rows = [one for one in said["models"] if one["model"] == MODEL]
        return any(one["state"] == "idle" and one["good"] == release for one in rows) or None

    wait_for(f"release {release} to be proven", probe, within_s=60 * world.slow)
    expect(world.serves() == f"{MODEL}:{release}", f"release {release} to answer", world.serves())
