"""A machine: a Debian tree that systemd-nspawn boots, and whose power can be cut.

What it writes stays over a cut, as on a card; what ran is gone at once. Being on one kernel
with it, the test reads its processes and its sockets from outside.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from boot.ground import Ground, overlay
from boot.trees import Kind
from stage import UnmetError, wait_for

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UP: Final = ("running", "degraded")
QEMU: Final = Path(__file__).parent / "qemu"


@dataclass(slots=True)
class Machine:
    name: str
    kind: Kind
    ground: Ground
    root: Path
    log: Path
    slow: float = 1.0  # how many times longer all takes than on this machine's own processor
    boots: int = 0
    _nspawn: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    _leader: int = 0

    @classmethod
    def of(cls, tree: Path, name: str, *, kind: Kind, ground: Ground, work: Path) -> "Machine":
        root = overlay(tree, name)
        ground.link(name)
        (root / "etc/hostname").write_text(f"{name}\n")
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        if kind.foreign:
            _below_qemu(root)
        log = work / f"{name}.log"
        return cls(name, kind, ground, root, log, slow=8.0 if kind.foreign else 1.0)

    @property
    def address(self) -> str:
        return self.ground.links[self.name]

    def boot(self, *, wait: bool = True) -> float:
        """Give it power; return the seconds until all services had started."""
        started = time.monotonic()
        group = self.ground.group(self.name) / "cgroup.procs"
        nspawn = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"]
        nspawn += [f"--directory={self.root}", f"--machine={self.name}", "--console=pipe"]
        nspawn += [f"--network-namespace-path=/run/netns/{self.name}", "--resolv-conf=off"]
        # What units say of devices and addresses is held by programs that systemd gives the kernel.
        nspawn.append("--system-call-filter=bpf")
        if self.kind.foreign:
            # LiteRT reads there which processor it runs on, and crashes on another architecture's.
            nspawn.append("--tmpfs=/sys/devices/system/cpu")
        words = ["sh", "-c", f"echo $$ >{group}; exec {shlex.join(nspawn)}"]
        with self.log.open("ab") as out:
            self._nspawn = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        self.boots += 1
        self._leader = wait_for(f"{self.name}'s first process", self._find, within_s=20)
        if wait:
            wait_for(f"{self.name} to have booted", self._up, within_s=60 * self.slow)
        return round(time.monotonic() - started, 2)

    def _find(self) -> int | None:
        if self._nspawn is None or self._nspawn.poll() is not None:
            raise UnmetError(f"{self.name} to run", f"see {self.log}", log=self.log)
        pid = self._nspawn.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"systemd\0" in Path(f"/proc/{child}/cmdline").read_bytes().replace(
                b"init\0", b"systemd\0"
            ):
                return int(child)
        return None

    def _up(self) -> bool | None:
        done = self.run("systemctl", "is-system-running", check=False)
        return True if done.strip() in _UP else None

    def cut(self) -> None:
        """Cut the power: every process ends at once, none is told."""
        if self._nspawn is None:
            return
        group = self.ground.group(self.name)
        (group / "cgroup.kill").write_text("1")
        self._gone()

    def shutdown(self) -> None:
        """Let it end as ``poweroff`` does."""
        if self._nspawn is not None:
            os.kill(self._leader, signal.SIGRTMIN + 4)
            self._gone()

    def _gone(self) -> None:
        assert self._nspawn is not None
        self._nspawn.wait(60 * self.slow)
        wait_for(f"{self.name} to be gone", self._empty, within_s=30)
        self.ground.ungroup(self.name)
        self._nspawn, self._leader = None, 0

    def _empty(self) -> bool | None:
        events = (self.ground.group(self.name) / "cgroup.events").read_text()
        return "populated 0" in events or None

    def run(
        self, *words: str | Path, check: bool = True, within_s: float = 120, answers: str = ""
    ) -> str:
        """Return what a command prints in the machine, which reads ``answers``.

        Raises:
            UnmetError: It fails.

        """
        into = ["nsenter", f"--target={self._leader}", "--all", "--wd"]
        done = subprocess.run(
            [*into, "--", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s * self.slow,
            input=answers,
            cwd="/",
            env={"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", "TERM": "dumb"}
            | {"DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": ""},
        )
        with self.log.open("a") as told:
            told.write(
                f"# {shlex.join(map(str, words))}\n{done.stdout}{done.stderr}[{done.returncode}]\n"
            )
        if check and done.returncode != 0:
            found = f"{done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}"
            raise UnmetError(f"{shlex.join(map(str, words))} to exit 0", found, log=self.log)
        return done.stdout

    def sh(
        self, script: str, *, check: bool = True, within_s: float = 120, answers: str = ""
    ) -> str:
        return self.run("sh", "-euc", script, check=check, within_s=within_s, answers=answers)

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file of root's into its file system, whether it runs or not."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def inside(self, path: str) -> Path:
        """Return where a path of the running machine is seen from here, /run and /proc too."""
        return Path(f"/proc/{self._leader}/root{path}")

    def pid(self, unit: str) -> int:
        """Return the main process of ``unit``, by the machine's numbers; 0: none."""
        return int(self.run("systemctl", "show", "--value", "-p", "MainPID", unit))

    def journal(self, *words: str) -> str:
        return self.run("journalctl", "--no-pager", "-o", "short-precise", *words, check=False)

    def tell(self, lines: int = 60) -> None:
        """Print the last words of its services: why a step did not hold."""
        if self._leader:
            told = self.journal("-u", "littoral-agent", "-u", "littoral-serve", "-n", str(lines))
            sys.stderr.write(f"--- {self.name}\n{told}")


def _below_qemu(root: Path) -> None:
    """Lay over the units what qemu-user cannot do: see the files for each reason."""
    for path in QEMU.rglob("*.conf"):
        target = root / "etc/systemd/system" / path.relative_to(QEMU)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
