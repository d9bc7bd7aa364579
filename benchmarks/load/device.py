"""A fleet of one device: console, broker, agent and serve, each a process as people start it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from simulators.console import ConsoleProcess, littoral
from simulators.repository import RepositorySimulator
from simulators.served import Device

MODEL: Final = "m"
DEVICE: Final = "bench-1"
_BUILD: Final = Path(__file__).parents[2] / "build"
_SETTINGS: Final = """
hardware = ["cpu-x86_64"]
probation_s = 1.0
telemetry_window_s = 3600
disk_reserve_bytes = 0
"""


@dataclass(frozen=True, slots=True)
class World:
    console: ConsoleProcess
    device: "subprocess.Popen[str]"
    ready: dict[str, Any]
    tree: Path

    def pids(self) -> dict[str, int]:
        """Return which processes ``agent`` and ``serve`` are."""
        pid = self.device.pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        words = {int(one): Path(f"/proc/{one}/cmdline").read_text() for one in found}
        return {
            name: one
            for one, said in words.items()
            for name in ("agent", "serve")
            if f"littoral_{name}" in said
        }


@contextmanager
def world(
    folder: Path, files: Sequence[bytes], *, words: Sequence[str] = (), python: str = sys.executable
) -> Iterator[World]:
    """Run such a fleet; ``files`` are published as releases from 1 on.

    ``words``: how all but the first are published. ``python``: the device's.
    """
    publisher = RepositorySimulator(folder)
    for release, data in enumerate(files, 1):
        bundle = _bundle(folder, release, data)
        if release == 1:
            publisher.publish(bundle)
            continue
        keys = ("--repo", publisher.folder, "--offline", publisher.offline)
        done = littoral("publish", bundle, *keys, *words)
        assert done.returncode == 0, done.stderr
    with ConsoleProcess(folder, publisher) as console:
        console.upload()
        tree = folder / "device"
        asked = ("enroll", console.ready["devices"], "--token", console.token())
        done = littoral(*asked, "--data", tree, "--name", DEVICE)
        assert done.returncode == 0, done.stderr
        (tree / "agent.toml").write_text(_SETTINGS)
        with (folder / "device.log").open("ab") as log:
            command = (python, "-m", "littoral", "run", "--data", str(tree))
            process = subprocess.Popen(
                [*command, "--http", "127.0.0.1:0", "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield World(console, process, ready, tree)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def on_disk() -> Path:
    """Return a folder on a disk, whose writes the kernel counts."""
    _BUILD.mkdir(exist_ok=True)
    return _BUILD


def _bundle(folder: Path, release: int, data: bytes) -> Path:
    press = Device(folder / "press" / str(release))
    made = press.add(MODEL, release=release, data=data, golden_of=data)
    return press.bundle(made, folder / "bundles" / str(release))
