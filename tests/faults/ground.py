"""Where victims live: a publisher, a console, the states they start from, and a serve for each.

with Ground(folder) as ground:
    with ground.place(SCENARIOS[1]) as place:       # a copy of its start, and a serve over it
        place.run()                                  # a victim, to its end
        place.run(Injection("rename", 3, "signal=SIGKILL"))
"""

import itertools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from faults import calls
from faults.calls import ALL, Call, Injection
from faults.job import DONE, Goal, Job
from faults.memory import in_memory
from faults.scenarios import (
    ENCODED,
    FAILS_TEST,
    FAILS_WATCH,
    NEXT,
    PATCHED,
    SOUND,
    SPOILED,
    Scenario,
    Start,
)
from littoral.tree import Tree
from littoral.wire.control import Tried
from littoral.wire.journal import State
from simulators.encodings import offered, patch, zstd
from simulators.fleet import Fleet
from simulators.repository import RepositorySimulator
from simulators.serve import ServeSimulator

TESTS: Final = Path(__file__).parents[1]
SETTINGS: Final = """
hardware = ["cpu-x86_64"]
channel = "https"
keep = 0
probation_s = {probation_s}
serve_poll_s = 0.005
retry_first_s = 0.005
retry_most_s = 0.05
poll_every_s = 0.05
refused_retry_s = 0.05
disk_reserve_bytes = 0
"""
_MODEL: Final = "model.tflite"


class Zygote:
    """A process with everything imported, which forks a victim for each job."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path},
        )

    def begin(self, job: Job) -> int:
        """Fork a victim, which waits for ``go``; return its pid."""
        self._write(job.line())
        return self._read("pid")

    def go(self) -> None:
        self._write(b"g")

    def end(self) -> int:
        """Wait for the victim; return its exit code, or less than zero for a signal."""
        return os.waitstatus_to_exitcode(self._read("end"))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def _read(self, word: str) -> int:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().decode().split()
        if len(said) != 2 or said[0] != word:
            raise RuntimeError(f"expected {word!r} of the victim's parent, found {said}")
        return int(said[1])


@dataclass
class Ran:
    """How a run of a victim went."""

    code: int
    hit: list[Call]  # what was answered with an error
    calls: list[Call] = field(default_factory=list)
    log: str = ""

    @property
    def done(self) -> bool:
        return self.code == DONE

    @property
    def end(self) -> str:
        """How it ended, with the last lines of its log."""
        return f"code {self.code}\n{self.log[-2000:]}"


@dataclass
class Place:
    """One device's folder, its serve, and the victims that live there one after the other."""

    ground: "Ground"
    scenario: Scenario
    tree: Tree
    serve: ServeSimulator
    boots: int = 1
    broken: str | None = None

    def run(self, *injections: Injection, trace: bool = False, limit_s: float = 20.0) -> Ran:
        """Let a victim live until it is done, or is ended."""
        job = Job(
            root=str(self.tree.root),
            document=str(self.ground.documents[self.scenario.wish]),
            goal=self.scenario.goal,
            boot=f"boot-{self.boots}",
            limit_s=limit_s,
            broken=self.broken,
        )
        return self.ground.run(job, *injections, trace=trace)

    def lose_power(self) -> None:
        """Serve dies with the victim: both wake in another boot."""
        self.boots += 1
        self.serve.crash()


class Ground:
    """What stays while victims come and go. One thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = Fleet(folder / "fleet", broker=False)
        self.documents: dict[int | None, Path] = {}
        self._starts: dict[Start, Path] = {}
        self._bad: dict[str, str] = {}  # manifest: how it is found out
        self._counter = itertools.count()

    def __enter__(self) -> Self:
        self.fleet.__enter__()
        self.fleet.serve.stop()
        self.zygote = Zygote()
        repo = self.fleet.repo
        for release in (SOUND, NEXT, FAILS_TEST, FAILS_WATCH, PATCHED, SPOILED):
            repo.publish(_bundle(repo, release))
        (self.fleet.tree.root / "agent.toml").write_text(SETTINGS.format(probation_s=0.02))
        self.fleet.enrol()
        self._write_documents()
        self._make_starts()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.zygote.close()
        self.fleet.__exit__(kind, None, trace)

    def run(self, job: Job, *injections: Injection, trace: bool = False) -> Ran:
        """Let one victim live."""
        log, out = Path(job.root).parent / "log", Path(job.root).parent / "trace"
        before = log.stat().st_size if log.exists() else 0
        pid = self.zygote.begin(job)
        if injections or trace:
            names = ALL if trace else ()
            with calls.traced(pid, out, *injections, calls=names, follow=False):
                self.zygote.go()
                code = self.zygote.end()
        else:
            self.zygote.go()
            code = self.zygote.end()
        return Ran(
            code=code,
            hit=calls.injected(out, Path(job.root)) if injections else [],
            calls=calls.read(out, Path(job.root)) if trace else [],
            log=log.read_text(errors="replace")[before:] if log.exists() else "",
        )

    @contextmanager
    def place(self, scenario: Scenario, *, broken: str | None = None) -> Iterator[Place]:
        """Make a device that starts where ``scenario`` does."""
        with self._at(self._starts[scenario.start]) as (tree, serve):
            yield Place(self, scenario, tree, serve, broken=broken)

    @contextmanager
    def _at(self, start: Path) -> Iterator[tuple[Tree, ServeSimulator]]:
        folder = self.folder / str(next(self._counter))
        shutil.copytree(start, folder / "device", ignore=shutil.ignore_patterns("*.sock"))
        tree = Tree(folder / "device")
        serve = ServeSimulator(tree)
        for manifest, how in self._bad.items():
            (serve.tried if how == "test" else serve.probed)[manifest] = Tried(code="outputs")
        serve.start()
        try:
            yield tree, serve
        finally:
            serve.stop()
            shutil.rmtree(folder)

    def _write_documents(self) -> None:
        """Write what the director may say: versions 1 and 2 lead to a start, 3 is the wish."""
        repo = self.fleet.repo
        for wish in (SOUND, NEXT, FAILS_TEST, FAILS_WATCH, PATCHED, SPOILED, None):
            named = [] if wish is None else [repo.assignment("digits", wish)]
            if wish in (FAILS_TEST, FAILS_WATCH):
                self._bad[named[0].manifest_sha256] = "test" if wish == FAILS_TEST else "watch"
            for version in (1, 2, 3):
                document = repo.director(*named, device="pi-7", version=version)
                self._said(wish, version).write_bytes(document)
            self.documents[wish] = self._said(wish, 3)

    def _said(self, wish: int | None, version: int) -> Path:
        return self.folder / f"said-{wish}-{version}"

    def _make_starts(self) -> None:
        """Bring a device to each state from which a scenario starts."""
        self._starts["empty"] = self._kept("empty", self.fleet.tree.root)
        with self._at(self._starts["empty"]) as (tree, _):
            self._bring(tree, self._said(SOUND, 1), Goal(good=SOUND))
            self._starts["good"] = self._kept("good", tree.root)
        later: tuple[tuple[Start, int], ...] = (("probation", NEXT), ("failing", FAILS_WATCH))
        for name, release in later:
            with self._at(self._starts["good"]) as (tree, serve):
                serve.probed.clear()
                tree.settings.write_text(SETTINGS.format(probation_s=600))
                goal = Goal(good=SOUND, candidate=release, state=State.PROBATION)
                self._bring(tree, self._said(release, 2), goal)
                tree.settings.write_text(SETTINGS.format(probation_s=0.02))
                self._starts[name] = self._kept(name, tree.root)

    def _bring(self, tree: Tree, document: Path, goal: Goal) -> None:
        ran = self.run(Job(root=str(tree.root), document=str(document), goal=goal))
        if not ran.done:
            raise RuntimeError(f"no start of {goal}: {ran.code}\n{ran.log[-3000:]}")

    def _kept(self, name: Start, root: Path) -> Path:
        path = self.folder / "starts" / name
        shutil.copytree(root, path, ignore=shutil.ignore_patterns("*.sock"))
        return path


def _bundle(repo: RepositorySimulator, release: int) -> Path:
    """Make a bundle of which what travels is three chunks or more, and so as many writes."""
    weights = base = random.Random(SOUND).randbytes(150_000)
    if release != SOUND:
        weights = random.Random(release).randbytes(150_000)
    if release not in ENCODED:
        return repo.bundle("digits", release, files={_MODEL: weights})
    bundle = repo.bundle("digits", release, files={_MODEL: base + weights})
    other = base + weights[::-1] if release == SPOILED else base + weights
    return offered(bundle, _MODEL, patch(other, base), zstd(base + weights))


@contextmanager
def ground() -> Iterator[Ground]:
    """Make a ground in memory."""
    with in_memory("faults") as folder, Ground(folder) as made:
        yield made
