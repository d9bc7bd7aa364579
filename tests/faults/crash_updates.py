"""Crash states of an update: what a power cut leaves, looked at as it lies there, and woken.

An agent and a serve wake in it, and live to the end. States that differ in nothing that an
agent sees are woken once: SQLite reads many a torn log as the same.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from faults import oracle
from faults.crash_disk import State
from faults.crash_spool import FILES, Bodies, Spools
from faults.crash_states import key
from faults.crash_trace import Step
from faults.crash_waker import Waker, fill
from faults.ground import Ground
from faults.job import Job
from faults.scenarios import Scenario
from faults.tally import Tally
from littoral.wire.messages import Report
from patience import patient

BLOB_MODE: Final = 0o440
_WOKEN: Final = frozenset({"woke"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a recording is tried."""

    share: float = 1.0  # of the states are woken; all are looked at
    limit_s: float = patient(20.0)  # what does not reach its end by then is stuck
    again: float = 0.0  # of those that are woken, power is lost once more on their way
    boot: str = "boot-2"  # in which they wake


@dataclass(frozen=True, slots=True)
class Left:
    """What a power cut left: a folder, and a console that heard some and acknowledged some."""

    state: State
    told: Bodies
    taken: Bodies


class Updates:
    """Judges the states of an update."""

    def __init__(
        self,
        ground: Ground,
        waker: Waker,
        scenario: Scenario,
        tally: Tally,
        extent: Extent,
        *,
        before: Left | None = None,
    ) -> None:
        self._ground, self._waker, self._tally, self._extent = ground, waker, tally, extent
        self.scenario, self._before = scenario, before
        self._spools = Spools(waker.folder / "spool")
        self._told: Bodies | None = None  # what a console may have heard
        self._taken: Bodies = dict(before.taken) if before else {}  # what one has acknowledged
        self.again: list[Left] = []  # chosen by chance
        self._rest: dict[bytes, list[str]] = {}
        self._ends: dict[bytes, tuple[list[str], Bodies]] = {}

    def hear(self, step: Step, now: State) -> None:
        if self._told is None or step.kind == "told":
            known = self._told or (self._before.told if self._before else {})
            self._told = {**known, **self._spools.meaning(now).reports}
        if step.kind == "taken":
            self._taken = dict(self._told)

    def judge(self, state: State) -> Iterator[str]:
        """Say what is wrong with ``state``, as it lies there and when all is done."""
        spool = self._spools.meaning(state)
        if spool.words is None:
            yield "damaged: SQLite cannot read the spool"
        rest = key({path: held for path, held in state.items() if path not in FILES})
        if rest not in self._rest:
            self._tally.count["looked at"] += 1
            fill(self._waker.tree, state)
            found = oracle.at_rest(self._waker.tree, self.scenario)
            self._rest[rest] = [*found, *_unreadable(state)]
        yield from self._rest[rest]
        end = rest + hashlib.blake2b((spool.words or "damaged").encode(), digest_size=16).digest()
        if int.from_bytes(end[:4]) >= self._extent.share * 2**32:
            return
        if end not in self._ends:
            self._tally.count["woken"] += 1
            self._ends[end] = self._wake(state)
            if int.from_bytes(end[4:8]) < self._extent.again * 2**32:
                self.again.append(Left(state, dict(self._told or {}), dict(self._taken)))
        wrong, reports = self._ends[end]
        yield from wrong
        if not any(one.startswith("stuck") for one in wrong):
            for heard in (self._told or {}, self._taken):
                yield from _told_wrong(heard, reports, self.scenario)

    def _wake(self, state: State) -> tuple[list[str], Bodies]:
        """Wake what lies there; return what is wrong at its end, and the reports that wait then."""
        fill(self._waker.tree, state)
        tree = self._waker.tree
        job = Job(
            root=str(tree.root),
            document=str(self._ground.documents[self.scenario.wish]),
            goal=self.scenario.goal,
            boot=self._extent.boot,
            limit_s=self._extent.limit_s,
        )
        woken = self._waker.wake(job)
        if woken.stuck is not None:
            return [f"stuck: {woken.stuck}"], {}
        reports = oracle.told(tree)
        wrong = oracle.at_end(tree, self.scenario, woken.serving, reports=[])
        wrong = [one for one in wrong if not one.startswith("reports")]
        wrong += [f"damaged: {path.name}" for path in tree.root.rglob("*.unreadable-*")]
        wrong += oracle.at_rest(tree, self.scenario)
        return wrong, {one.key: one.to_json() for one in reports}


def _unreadable(state: State) -> Iterator[str]:
    """Name the whole files that serve, another user, may not read."""
    for path, held in state.items():
        whole = path.startswith("blobs/") and not path.startswith("blobs/.")
        if whole and held is not None and held.mode != BLOB_MODE:
            yield f"partial: {path[:18]} has the mode {held.mode:o}"


def _told_wrong(heard: Bodies, waiting: Bodies, scenario: Scenario) -> Iterator[str]:
    """Say what is lost or doubled for a console that has ``heard`` some, and gets the others."""
    for one in heard.keys() & waiting.keys():
        if heard[one] != waiting[one]:
            yield f"reports: {one} is two"
    reports = [Report.from_json(body) for body in {**waiting, **heard}.values()]
    reports.sort(key=lambda one: (one.key.stream, one.key.sequence))
    yield from oracle._told_wrong(reports, scenario, _WOKEN)
