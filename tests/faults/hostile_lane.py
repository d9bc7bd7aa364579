"""A device's folder, a real serve over it, and one hostile model after the other.

with lane(keeper=True) as one:
    wrong = one.suffer(case)       # what its trial and its activation did to serve

What the agent would do is done here, by its own client of the control socket: try; and what
passed, activate and probe. Beside the hostile model a steady one is served all the while.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.ground import TESTS
from faults.hostile_cases import Case
from faults.hostile_sources import small
from faults.hostile_watch import STEADY, Watch, wrong_answers
from faults.memory import in_memory
from littoral.errors import LittoralError
from littoral.wire.control import Activate, Try
from littoral_agent.control import Control, OrderDeniedError, ServeDownError
from littoral_serve.confining import environment
from simulators.served import HARDWARE, Device, Release, Serve, children, serving

NAME: Final = "hostile"
DEADLINE_S: Final = 2.0
_SETTINGS: Final = "window_s = 1.0\ntimings_backlog_bytes = 65_536\n"


@dataclass
class Lane:
    """One serve. Not safe to share between threads."""

    device: Device
    serve: Serve
    watch: Watch
    deadline_s: float = DEADLINE_S
    codes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._steady = {path.name for path in self.device.tree.blobs.iterdir()}  # and stays
        self._clean = self._files()

    def suffer(self, case: Case) -> list[str]:
        """Have ``case`` tried, and run if it passes; return what is wrong."""
        self.watch.doing = str(case)
        release = self._put(case)
        try:
            return list(self._order(case, release))
        finally:
            for file in release.manifest.files.values():
                if file.sha256 not in self._steady:
                    self.device.tree.blob(file.sha256).unlink(missing_ok=True)
            self.device.tree.manifest(release.sha256).unlink()

    def _order(self, case: Case, release: Release) -> Iterator[str]:
        control = Control(self.device.tree.control)
        begun = time.monotonic()
        try:
            order = Try(**release.order, hardware=HARDWARE, deadline_s=self.deadline_s)
            done = control.try_(order)
        except OrderDeniedError as e:
            self._count(case, f"denied {e.reason}")
            return
        except ServeDownError as e:
            yield f"dead: no answer to a trial: {e}"
            return
        if time.monotonic() - begun > self.deadline_s + 5:
            yield f"late: the trial took {time.monotonic() - begun:.1f} s"
        self._count(case, done.code or "passed")
        if done.code is None:
            yield from self._run(case, release, control)

    def _run(self, case: Case, release: Release, control: Control) -> Iterator[str]:
        """Let serve run what has passed; say what is wrong with its answers."""
        try:
            control.activate(Activate(**release.order))
        except OrderDeniedError as e:
            self._count(case, f"not activated: {e.reason}")
            return
        except ServeDownError as e:
            yield f"dead: no answer to an activation: {e}"
            return
        try:
            yield from wrong_answers(self.device.tree, release.manifest)
            done = control.probe(NAME, self.deadline_s)
            if done.code is not None:
                yield f"outputs: the probe says {done.code}: {done.detail}"
            control.deactivate(NAME)
        except LittoralError as e:
            yield f"dead: {e}"

    def left(self) -> list[str]:
        """Return what trials left behind: files, processes, descriptors."""
        found = [f"left: {path}" for path in sorted(self._files() - self._clean)]
        found += [f"left: process {pid} of serve's" for pid in children(self.serve)]
        return found

    def memory_bytes(self) -> int:
        """Return how much memory serve has."""
        status = Path(f"/proc/{self.serve.process.pid}/statm").read_text()
        return int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.serve.process.pid}/fd").iterdir()))

    def _files(self) -> set[str]:
        return {str(path) for path in self.device.tree.root.rglob("*")}

    def _count(self, case: Case, code: str) -> None:
        self.codes[code] += 1
        self.codes[f"{case.family}: {code}"] += 1

    def _put(self, case: Case) -> Release:
        """Write the files that an agent would have fetched."""
        told = case.manifest(NAME, case.number + 1)
        for data in case.files.values():
            self.device.blob(data)
        return self.device.put(told)


@contextmanager
def lane(
    *, keeper: bool, broken: str | None = None, deadline_s: float = DEADLINE_S
) -> Iterator[Lane]:
    """Make a device in memory, and start serve over it.

    With ``keeper`` the trials are forked (faults.hostile_keeper), else serve starts them itself.
    """
    steady = next(one for one in small() if one.name == "tiny_int8")
    with in_memory("hostile") as folder, ExitStack() as held:
        device = Device(folder / "data")
        device.good(device.add(STEADY))
        (device.tree.root / "serve.toml").write_text(_SETTINGS)
        if keeper:
            held.enter_context(_forking(device.tree.trial, broken))
        serve = held.enter_context(serving("--data", str(device.tree.root)))
        watch = held.enter_context(Watch(device, serve, steady))
        yield Lane(device, serve, watch, deadline_s=deadline_s)


@contextmanager
def _forking(path: Path, broken: str | None) -> Iterator[None]:
    words = [sys.executable, "-m", "faults.hostile_keeper", str(path)]
    process = subprocess.Popen(
        [*words, *([broken] if broken else [])],
        stdout=subprocess.PIPE,
        env={**environment(), "PYTHONPATH": str(TESTS)},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
