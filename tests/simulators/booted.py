"""This machine's own root folder, booted a second time with a package unpacked over it.

Nothing outside is written to: what the booted one writes goes to a layer of its own. Needs root,
systemd-nspawn and overlayfs, and skips where there is none of it.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from littoral.tree import Tree
from patience import patient
from simulators.packages import need
from simulators.served import Device, ask, wait_until

_TARGET = "[Unit]\nRequires=basic.target littoral-serve.service\nAfter=basic.target\n"
_SOCKETS = ("littoral-serve.socket", "littoral-control.socket", "littoral-trial.socket")


@dataclass(frozen=True)
class Booted:
    """A running machine: its files, the process id of its systemd, its users' numbers."""

    root: Path
    leader: int
    users: dict[str, int]

    @property
    def control(self) -> Path:
        """The agent's socket, as it is seen from here."""
        return Path(f"/proc/{self.leader}/root/run/littoral/control.sock")

    def order(self, call: str, body: object) -> tuple[int, Any]:
        return ask(self.control, "POST", f"/control/{call}", body)

    def run(self, *words: str) -> str:
        """Return what a command says inside."""
        done = subprocess.run(
            ["nsenter", f"--target={self.leader}", "--all", *words],
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr


class Machine:
    """A machine that is made ready: ``root`` is its root folder, ``device`` its data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.device = Device(root / "var/lib/littoral")
        # Inside it is made anew, and leads elsewhere.
        shutil.rmtree(Tree(root / "var/lib/littoral").sockets)

    def users(self) -> dict[str, int]:
        lines = (self.root / "etc/passwd").read_text().splitlines()
        return {name: int(uid) for name, _, uid, *_ in (line.split(":") for line in lines)}

    def drop_in(self, unit: str, text: str) -> None:
        folder = self.root / "etc/systemd/system" / f"{unit}.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test.conf").write_text(text)

    @contextmanager
    def boot(self) -> Iterator[Booted]:
        """Start it, and give it once serve answers."""
        subprocess.run(
            [need("systemd-sysusers"), f"--root={self.root}", "littoral-agent.conf"], check=True
        )
        users = self.users()
        for path in (self.device.tree.root, *self.device.tree.root.rglob("*")):
            os.chown(path, users["littoral"], users["littoral"], follow_symlinks=False)
            path.chmod(0o750 if path.is_dir() else 0o440)
        units = self.root / "etc/systemd/system"
        wanted = units / "sockets.target.wants"
        wanted.mkdir(parents=True, exist_ok=True)
        for name in _SOCKETS:
            (wanted / name).symlink_to(f"/usr/lib/systemd/system/{name}")
        (units / "default.target").unlink(missing_ok=True)
        (units / "default.target").write_text(_TARGET)
        words = [need("systemd-nspawn"), f"--directory={self.root}", "--boot", "--register=no"]
        words += ["--keep-unit", "--private-network", "--console=pipe", "--machine=littoral-test"]
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            leader = _leader(process)
            booted = Booted(self.root, leader, users)
            wait_until(lambda: _answers(booted), within_s=60)
            yield booted
        finally:
            _end(process)


@contextmanager
def machine(package: Path, folder: Path) -> Iterator[Machine]:
    """Lay the unpacked ``package`` over this machine's root folder; ``folder`` is for us alone."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts and boots")
    need("systemd-nspawn")
    with ExitStack() as held:
        layers, root = folder / "layers", folder / "machine"
        for path in (layers, root):
            path.mkdir(parents=True)
        held.enter_context(_mounted("tmpfs", layers, "size=512m,mode=0755"))
        shutil.copytree(package, layers / "upper", symlinks=True)
        (layers / "work").mkdir()
        options = f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work"
        held.enter_context(_mounted("overlay", root, options))
        shutil.rmtree(root / "var/lib/littoral", ignore_errors=True)
        yield Machine(root)


@contextmanager
def _mounted(kind: str, where: Path, options: str) -> Iterator[None]:
    words = ["mount", "-t", kind, "-o", options, "littoral-test", str(where)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount an {kind} here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True, capture_output=True)


def _leader(process: "subprocess.Popen[str]") -> int:
    """Return the process id of the systemd inside."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found: list[int] = []

    def look() -> bool:
        if process.poll() is not None:
            said = process.stdout.read() if process.stdout else ""
            pytest.skip(f"systemd-nspawn does not run here: {said[-300:]}")
        pids = children.read_text().split()
        found.extend(int(p) for p in pids if Path(f"/proc/{p}/comm").read_text() == "systemd\n")
        return bool(found)

    wait_until(look, within_s=20)
    return found[0]


def _answers(booted: Booted) -> bool:
    try:
        return ask(booted.control, "GET", "/control/state")[0] == 200
    except (OSError, json.JSONDecodeError):
        return False


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is not None:
        process.communicate()
        return
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    process.communicate(timeout=patient(20))
