"""A folder that is filled with a state, and the process in which it wakes."""

import json
import os
import shutil
import subprocess
import sys
from types import TracebackType
from typing import Self

from faults.crash_disk import State
from faults.crash_wakes import Woken
from faults.ground import TESTS, Ground
from faults.job import Job
from littoral import records
from littoral.tree import Tree


class Waker:
    """with Waker(ground) as waker: fill(waker.tree, state); waker.wake(job)."""

    def __init__(self, ground: Ground) -> None:
        self.folder = ground.folder / "woken"
        self.folder.mkdir()
        self.tree = Tree(self.folder / "device")
        self.tree.make()
        repo = ground.fleet.repo
        words = (str(repo.folder), str(repo.online), json.dumps(ground._bad))
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.crash_wakes", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()
        shutil.rmtree(self.folder)

    def wake(self, job: Job) -> Woken:
        """Let an agent live there to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(job.line().decode())
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return records.from_json(Woken, line.encode(), limit=2**20)


def fill(tree: Tree, state: State) -> None:
    """Make the folder hold ``state``, and nothing else but sockets."""
    root = tree.root
    for path in root.iterdir():
        if path.is_dir() and path != tree.sockets:
            shutil.rmtree(path)
        elif path != tree.sockets:
            path.unlink()
    for name, held in state.items():
        where = root / name
        if held is None:
            where.mkdir()
            continue
        fd = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, held.mode)
        os.write(fd, held.data)
        os.close(fd)
