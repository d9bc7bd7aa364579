"""Debian trees: what debootstrap makes, and beside it the packages that apt will ask for.

A tree is made once and kept below build/boot; machines lay their own files over it and never
change it. It holds no littoral: that comes by apt, in a booted machine, without a network.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
STORE: Final = ROOT / "build/boot"
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
# What every Debian that is installed has, and minbase has not.
_DEBIAN: Final = ("dbus", "init", "iproute2", "libpam-systemd", "procps", "sudo", "udev")
# What apt installs in the machines: with littoral's packages, and to give them another time.
_PYTHON: Final = ("python3", "python3-grpcio", "python3-numpy", "python3-pil")
_WANTED: Final = ("mosquitto", "libfaketime", *_PYTHON, "tzdata")


class CannotError(Exception):
    """This machine cannot boot trees: what it lacks, and what to do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Which Debian."""

    arch: str
    suite: str = "bookworm"

    @property
    def foreign(self) -> bool:
        return _MACHINES[self.arch] != os.uname().machine

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.arch}"


def check(kind: Kind) -> None:
    """Raise CannotError where a tree of this kind cannot be made or booted."""
    if os.geteuid() != 0:
        raise CannotError("only root boots trees: run it with sudo")
    for command, package in (
        ("debootstrap", "debootstrap"),
        ("systemd-nspawn", "systemd-container"),
        ("ip", "iproute2"),
        ("unshare", "util-linux"),
    ):
        if shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise CannotError(f"{command} is not installed: apt-get install {package}")
    if "\tcgroup2\n" not in Path("/proc/filesystems").read_text():
        raise CannotError("this kernel has no cgroup2")
    if kind.foreign and not _runs_foreign(kind):
        raise CannotError(
            f"this kernel does not start {kind.arch} programs: "
            "apt-get install qemu-user-static binfmt-support, "
            "then mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc "
            f"and update-binfmts --enable qemu-{_MACHINES[kind.arch]}"
        )


def _runs_foreign(kind: Kind) -> bool:
    where = Path("/proc/sys/fs/binfmt_misc")
    interpreter = f"qemu-{_MACHINES[kind.arch]}"
    if not (where / "register").exists():
        subprocess.run(
            ["mount", "-t", "binfmt_misc", "binfmt_misc", where], check=False, capture_output=True
        )
    if not (where / interpreter).exists() and shutil.which("update-binfmts"):
        subprocess.run(
            ["update-binfmts", "--enable", interpreter], check=False, capture_output=True
        )
    try:
        # F: the interpreter was opened when it was registered, so a tree needs none.
        flags = (where / interpreter).read_text().partition("flags:")[2]
    except OSError:
        return False
    return "F" in flags.partition("\n")[0]


def tree(kind: Kind, store: Path = STORE) -> Path:
    """Return the tree, made if it is not there yet.

    Raises:
        CannotError: It cannot be made: no mirror is reached, say.

    """
    made = store / kind.name
    if made.exists():
        return made
    store.mkdir(parents=True, exist_ok=True)
    beside = store / f"{kind.name}.{os.getpid()}"
    words = ["debootstrap", f"--arch={kind.arch}", "--variant=minbase"]
    words += [f"--include={','.join(_DEBIAN)}", kind.suite, str(beside)]
    try:
        _run(words, f"debootstrap of {kind.name}")
        _run(["chroot", beside, "apt-get", "clean"], "apt-get clean")
        _resolve(beside)
        fetch = ["--yes", "--download-only", *_WANTED]
        _run(["chroot", beside, "apt-get", "update"], "apt-get update")
        _run(["chroot", beside, "apt-get", "install", *fetch], "apt-get install --download-only")
        # Each machine is a board of its own, and makes up its number.
        (beside / "etc/machine-id").write_text("")
        (beside / "var/lib/dbus/machine-id").unlink(missing_ok=True)
        beside.rename(made)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return made


def _resolve(tree: Path) -> None:
    """Let the tree's apt find the mirror as this machine does."""
    resolver = tree / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.write_bytes(Path("/etc/resolv.conf").read_bytes())


def _run(words: Sequence[str | Path], what: str) -> None:
    sys.stderr.write(f"{what} …\n")
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise CannotError(f"{what}: {' | '.join(said)}")
