"""Mutated repositories and bundles, met by the agent's own path from a document to files.

Bad is: anything **believed** that nobody signed, or whose bytes are not what they are called; a
**choice** that the honest repository does not give; an exception that **escaped**; a device that is
**stuck**: that does not believe the honest repository afterwards; and one that is **slow**.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tuf.api.exceptions import RepositoryError

from faults.memory import in_memory
from faults.mutants_made import Mutant, mutant
from faults.mutants_world import Outcome, World, canonical
from faults.tally import Tally
from littoral.bundle.manifest import Manifest
from littoral.errors import LittoralError
from littoral.wire.journal import Choice

RUNS = 100_000
_CPU_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How many mutants, and which is the first."""

    runs: int | None = None
    seed: int = 7
    first: int = 0


@contextmanager
def world() -> Iterator[World]:
    with in_memory("mutants") as folder:
        yield World(folder)


def run(here: World, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally, judge = Tally(), Judge(here)
    runs = RUNS if aim.runs is None else aim.runs
    for number in range(aim.first, aim.first + runs):
        made = mutant(here, aim.seed, number)
        tally.blame(made, judge.suffer(made))
        tally.count[judge.code] += 1
        tally.points[made.family] += 1
        tally.count["longest in ms of CPU time"] = round(judge.longest_s * 1000)
        yield tally


class Judge:
    """Has a device meet one mutant after the other, each from the same start."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._recovered: set[bytes] = set()  # states from which the honest repository is believed
        self.code = ""
        self.longest_s = 0.0

    def suffer(self, made: Mutant) -> list[str]:
        """Let the device meet ``made``; return what is wrong."""
        world = self._world
        files = {**world.files, **made.files}
        files = {name: data for name, data in files.items() if data is not None}
        document = world.document if made.document is None else made.document
        begun = time.thread_time()
        try:
            outcome = world.agent(
                {n: d for n, d in files.items() if d is not None},
                document,
                change=made.time or (lambda data: data),
            )
        except Exception as e:  # noqa: BLE001 (whatever it is: it would have ended the agent)
            self.code = "escaped"
            state = world.state()
            world.restore(world.start, state)
            return [f"escaped: {type(e).__name__}: {str(e)[:200]}"]
        spent = time.thread_time() - begun
        self.code, self.longest_s = outcome.code, max(self.longest_s, spent)
        state = world.state()
        wrong = [*self._believed(made, state), *self._chosen(made, outcome)]
        wrong += [f"slow: {spent:.1f} s of CPU time"] if spent > _CPU_S else []
        wrong += self._stuck(made, state)
        return wrong

    def _believed(self, made: Mutant, state: Mapping[str, bytes]) -> Iterator[str]:
        """Name what the device holds that it should not."""
        world = self._world
        for name, data in state.items():
            folder, _, last = name.rpartition("/")
            if folder == "trust/metadata" or name == "trust/director.json":
                if _canonical(data) not in world.said | made.vouched:
                    yield f"believed: {name}, which nobody signed"
            elif folder in {"blobs", "manifests"}:
                if hashlib.sha256(data).hexdigest() != last.removesuffix(".json"):
                    yield f"believed: {name} is not what it is called"
                elif not made.signed and name not in world.whole:
                    yield f"believed: {name}, which is nobody's"
            elif name == "trust/clock.json":
                if not made.signed and _latest(data) > world.publisher.now + timedelta(days=1):
                    yield "believed: a time that is far ahead"
            elif name.endswith(".new"):
                yield f"left: {name}"

    def _chosen(self, made: Mutant, outcome: Outcome) -> Iterator[str]:
        world = self._world
        for model, choice in outcome.chosen.items():
            if not isinstance(choice, Choice):
                continue
            if made.signed:
                yield from self._agrees(model, choice)
            elif choice != world.honest.chosen.get(model):
                yield f"choice: {choice}"

    def _agrees(self, model: str, choice: Choice) -> Iterator[str]:
        """Say what a choice has that its manifest does not say."""
        try:
            told = Manifest.from_json(self._world.tree.manifest(choice.manifest).read_bytes())
            variant = told.variant(choice.variant)
        except (OSError, LittoralError) as e:
            yield f"choice: {choice}: {e}"
            return
        if (told.model, told.release) != (model, choice.release):
            yield f"choice: {choice} is {told.model}:{told.release}"
        if choice.hardware not in variant.requires.hardware:
            yield f"choice: {choice} is for {variant.requires.hardware}"

    def _stuck(self, made: Mutant, state: Mapping[str, bytes]) -> Iterator[str]:
        """Show the device the honest repository, and put it back to where it starts."""
        world = self._world
        # What a thief counted up is forgotten with his keys, and only with them.
        files = world.healed if made.vouched else world.later
        key = _digest(state) + bytes([bool(made.vouched)])
        try:
            if key not in self._recovered:
                after = world.agent(files, world.document)
                if after == world.honest:
                    self._recovered.add(key)
                elif not made.signed:
                    yield f"stuck: {after.chosen}"
        except Exception as e:  # noqa: BLE001
            yield f"escaped: afterwards: {type(e).__name__}: {str(e)[:200]}"
        finally:
            world.restore(world.start)


def _canonical(data: bytes) -> bytes | None:
    """Return what is said in ``data``; None where other programs could not read it."""
    try:
        return canonical(data)
    except (RepositoryError, ValueError):
        return None


def _latest(clock: bytes) -> datetime:
    """Return what time it is at least, by what the clock keeps."""
    ms = max(json.loads(clock)["floors_ms"].values(), default=0)
    return datetime.fromtimestamp(ms / 1000, UTC)


def _digest(state: Mapping[str, bytes]) -> bytes:
    whole = hashlib.sha256()
    for name in sorted(state):
        whole.update(name.encode() + b"\0" + hashlib.sha256(state[name]).digest())
    return whole.digest()
