"""Hostile models on the whole way: published, ordered, fetched, tried and run by the real programs.

A real agent over HTTPS, a real serve that starts its own trials, several models in one document.
Bad is what faults.hostile calls bad; an agent that is another process; a release that is never
told of (stuck); one that serves and did not prove itself; and what nobody collects.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from faults.hostile_cases import Case, case
from faults.hostile_sources import Source, small
from faults.hostile_watch import STEADY, Watch, wrong_answers
from faults.memory import in_memory
from faults.tally import Tally
from littoral.bundle.manifest import NAME, Manifest
from littoral.errors import LittoralError
from littoral.trust.beliefs import Assignment
from littoral.wire.messages import Report
from littoral_agent.control import Control
from simulators.fleet import AgentProcess, Fleet
from simulators.served import Device, Serve, serving

RUNS: Final = 500
_AT_ONCE: Final = 8  # models that one document names
_ENDS: Final = frozenset({"failed", "refused", "healthy"})
_SETTINGS: Final = """
hardware = ["cpu-x86_64"]
channel = "https"
keep = 0
probation_s = 0.2
trial_deadline_s = 6.0
serve_poll_s = 0.05
retry_first_s = 0.05
retry_most_s = 0.3
refused_retry_s = 3600
disk_reserve_bytes = 0
"""
_STUCK_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    runs: int | None = None
    seed: int = 11
    first: int = 0


@dataclass
class Sea:
    """A device at work, and a fleet that wants hostile things of it."""

    fleet: Fleet
    serve: Serve
    agent: AgentProcess
    watch: Watch
    _wanted: dict[str, Assignment] = field(default_factory=dict)
    _heard: int = 0
    _ends: dict[tuple[str, int], tuple[str, str | None]] = field(default_factory=dict)

    def publish(self, one: Case, model: str, release: int) -> bool:
        """Publish ``one``; return False where the publisher's own tools refuse it."""
        bundle = self.fleet.repo.base / "made"
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir()
        for name, data in one.files.items():
            (bundle / name).write_bytes(data)
        try:
            (bundle / NAME).write_bytes(one.manifest(model, release).to_json())
            self.fleet.repo.publish(bundle)
        except (LittoralError, ValueError):
            return False
        self._wanted[model] = self.fleet.repo.assignment(model, release)
        return True

    def order(self) -> None:
        """Say in one document what was published last of each model."""
        self.fleet.version += 1
        said = self.fleet.repo.director(
            *self._wanted.values(), device="pi-7", version=self.fleet.version
        )
        self.fleet.console.desire("pi-7", said)

    def suffer(self, batch: dict[str, Case], release: int) -> Iterator[tuple[Case, str, list[str]]]:
        """Wait for what became of each; yield it with what is wrong."""
        self.watch.doing = ", ".join(map(str, batch.values()))
        until = time.monotonic() + _STUCK_S
        while any((model, release) not in self._ends for model in batch):
            self._hear()
            if time.monotonic() > until or self.agent.process.poll() is not None:
                break
            time.sleep(0.1)
        for model, one in batch.items():
            event, code = self._ends.get((model, release), ("stuck", None))
            wrong = list(self._wrong(model, release, event))
            yield one, f"{event} {code}" if code else event, wrong

    def _hear(self) -> None:
        """Take what the console committed since."""
        taken = list(self.fleet.taken.items())
        for key, body in taken[self._heard :]:
            update = Report.from_json(body).update if key.stream.startswith("report") else None
            if update is not None and update.release is not None and update.event in _ENDS:
                self._ends[update.model, update.release] = (update.event, update.code)
        self._heard = len(taken)

    def _wrong(self, model: str, release: int, event: str) -> Iterator[str]:
        if event == "stuck":
            yield f"stuck: nothing was told of {model}:{release}"
        if self.agent.process.poll() is not None:
            yield f"dead: the agent ended with {self.agent.process.returncode}"
            return
        try:
            runs = {one.model: one for one in Control(self.fleet.tree.control).state().models}
            found = runs.get(model)
            if event == "healthy" and (found is None or found.release != release):
                yield f"outputs: {model}:{release} is healthy, and {found} serves"
            if event != "healthy" and found is not None and found.release == release:
                yield f"outputs: {model}:{release} serves, and is {event}"
            if event == "healthy" and found is not None:
                told = self.fleet.tree.manifest(found.manifest).read_bytes()
                yield from wrong_answers(self.fleet.tree, Manifest.from_json(told))
        except (LittoralError, OSError, ValueError) as e:
            yield f"dead: {type(e).__name__}: {e}"

    def left(self) -> list[str]:
        """Return the blobs that no release needs which serves."""
        state, tree = Control(self.fleet.tree.control).state(), self.fleet.tree
        needed: set[str] = set()
        for one in state.models:
            told = Manifest.from_json(tree.manifest(one.manifest).read_bytes())
            needed |= {file.sha256 for file in told.files.values()}
        held = {path.name for path in tree.blobs.iterdir() if path.is_file()}
        return [f"left: blobs/{name}" for name in sorted(held - needed)]


def run(aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally = Tally()
    runs = RUNS if aim.runs is None else aim.runs
    numbers = range(aim.first, aim.first + runs)
    with sea() as here:
        for release, at in enumerate(range(0, runs, _AT_ONCE), 1):
            batch = _publish(here, aim.seed, numbers[at : at + _AT_ONCE], release, tally)
            here.order()
            for one, became, wrong in here.suffer(batch, release):
                told, here.watch.found = here.watch.found, []
                tally.blame(one, [*wrong, *told])
                tally.count[became] += 1
                yield tally
        wait_s = time.monotonic() + 20
        while here.left() and time.monotonic() < wait_s:
            time.sleep(0.2)
        tally.found += [*here.left(), *here.watch.wrong()]
        tally.count["answers of the steady model"] = 3 * here.watch.asked
    yield tally


def _publish(
    here: Sea, seed: int, numbers: Sequence[int], release: int, tally: Tally
) -> dict[str, Case]:
    batch = {}
    for at, number in enumerate(numbers):
        one = case(seed, number)
        if here.publish(one, f"hostile-{at}", release):
            batch[f"hostile-{at}"] = one
        else:
            tally.blame(one, [])
            tally.count["not published"] += 1
    return batch


@contextmanager
def sea() -> Iterator[Sea]:
    """Make a device that serves a steady model, with its agent and its console."""
    steady = next(one for one in small() if one.name == "tiny_int8")
    with in_memory("hostile") as folder, Fleet(folder, broker=False, settings=_SETTINGS) as fleet:
        fleet.serve.stop()
        fleet.enrol()
        data = ("--data", str(fleet.tree.root))
        with serving(*data) as serve, fleet.agent() as agent:
            watch = Watch(Device(fleet.tree.root), serve, steady)
            here = Sea(fleet, serve, agent, watch)
            here.publish(_honest(steady), STEADY, 1)
            here.order()
            fleet.wait(lambda: fleet.good(STEADY) == 1, within_s=120)
            with watch:
                yield here


def _honest(source: Source) -> Case:
    return Case(
        number=0,
        family="honest",
        source=source,
        data=source.data,
        inputs=source.inputs,
        outputs=source.outputs,
        golden=source.golden,
    )
