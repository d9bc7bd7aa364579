"""What machines stand on: namespaces of our own, a network of our own, a control group each.

Nothing outside changes, and all of it ends with the process that entered: mounts, networks and
processes are in namespaces that nobody else holds.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

RUN: Final = Path("/run/littoral-boot")
HOST: Final = "10.77.0.1"
SIZE: Final = 3 << 30  # of what a machine writes
INSIDE: Final = "LITTORAL_BOOT_INSIDE"


def enter(words: list[str]) -> int:
    """Run ``words`` where all is its own; return its exit status."""
    apart = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        done = subprocess.run(
            ["unshare", *apart, "--propagation", "private", *words],
            check=False,
            env=os.environ | {INSIDE: str(os.getpid())},
        )
        return done.returncode
    finally:
        _remove_groups()


def _remove_groups() -> None:
    """Remove the control groups: of all that was made, they alone outlive the namespaces."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    mine = f"littoral-boot-{os.getpid()}-*"
    for folder in (Path(words[1]) for words in mounts if words[2] == "cgroup2"):
        for group in folder.glob(mine):
            (group / "cgroup.kill").write_text("1")
            until = time.monotonic() + 10
            while "populated 1" in (group / "cgroup.events").read_text():
                if time.monotonic() > until:
                    return  # whoever is stuck in the kernel keeps its group
                time.sleep(0.05)
            _remove(group)
    # Where the host has both kinds, nspawn makes groups of the same names in the older one.
    for folder in (Path(words[1]) for words in mounts if words[2] == "cgroup"):
        for group in folder.glob(mine):
            _remove(group)


def _remove(group: Path) -> None:
    for part, _, _ in os.walk(group, topdown=False):
        Path(part).rmdir()


def ip(*words: str, inside: str | None = None) -> None:
    apart = ["-n", inside] if inside else []
    subprocess.run(["ip", *apart, *words], check=True, stdout=sys.stderr)


@dataclass(slots=True)
class Ground:
    """The host's side of the network, and the places where machines are laid out."""

    links: dict[str, str] = field(default_factory=dict)  # address by machine

    def __post_init__(self) -> None:
        if not os.environ.get(INSIDE):
            raise RuntimeError("expected namespaces of our own: see enter()")
        # Sockets and locks of the outside's systemd are none of ours.
        _mount("tmpfs", "/run")
        for folder in (RUN, RUN / "files", RUN / "groups", Path("/run/netns"), Path("/run/lock")):
            folder.mkdir(parents=True)
        _mount("cgroup2", RUN / "groups")
        ip("link", "set", "lo", "up")
        ip("link", "add", "littoral0", "type", "bridge")
        ip("addr", "add", f"{HOST}/24", "dev", "littoral0")
        ip("link", "set", "littoral0", "up")

    def link(self, name: str) -> Path:
        """Make the network of the machine ``name``: one cable to the host. Return its place."""
        address = f"10.77.0.{len(self.links) + 2}"
        self.links[name] = address
        ip("netns", "add", name)
        ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"to-{name}", "master", "littoral0", "up")
        ip("addr", "add", f"{address}/24", "dev", "eth0", inside=name)
        ip("link", "set", "lo", "up", inside=name)
        self.plug(name)
        return Path("/run/netns") / name

    def plug(self, name: str) -> None:
        ip("link", "set", "eth0", "up", inside=name)
        ip("link", "set", f"to-{name}", "up")

    def unplug(self, name: str) -> None:
        ip("link", "set", f"to-{name}", "down")

    def group(self, name: str) -> Path:
        """Return the control group of a machine: what is in it can be killed at once."""
        group = RUN / "groups" / f"littoral-boot-{os.environ[INSIDE]}-{name}"
        group.mkdir(exist_ok=True)
        return group

    def ungroup(self, name: str) -> None:
        """Remove it: who is started in a group that was killed may be killed as well."""
        _remove(self.group(name))


def overlay(tree: Path, name: str) -> Path:
    """Return a root file system: ``tree`` below, and above it what the machine writes."""
    (RUN / "files" / name).mkdir()
    _mount("tmpfs", RUN / "files" / name, f"size={SIZE}")
    upper, work, root = (RUN / "files" / name / part for part in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir(parents=True, exist_ok=True)
    _mount("overlay", root, f"lowerdir={tree},upperdir={upper},workdir={work}")
    return root


def leave(name: str, free: int | None) -> None:
    """Let the machine's file system have so many bytes free; None: as many as at first."""
    folder = RUN / "files" / name
    size = SIZE
    if free is not None:
        held = os.statvfs(folder)
        size = (held.f_blocks - held.f_bfree) * held.f_frsize + free
    _mount("tmpfs", folder, f"remount,size={size}")


def _mount(kind: str, where: str | Path, options: str = "rw") -> None:
    words = ["mount", "-t", kind, "-o", options, "littoral-boot", str(where)]
    subprocess.run(words, check=True)
