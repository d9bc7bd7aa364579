"""A disk that says no: EIO, ENOSPC, EDQUOT and EMFILE at every call that may be answered so.

Once: the call fails, and all others do what they should; the agent has to reach its end in the
same life, or, where it cannot even start, in the next one. Lasting: from the n-th call on every
write to the disk fails, until the victim is ended; then the disk is well, and the next victim
has to reach the end. Nothing may be left that takes space, and the reason must have been said.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from faults import oracle
from faults.calls import CHANGES, OPENS, READS, SOCKETS, Call, Injection
from faults.ground import Ground, Ran
from faults.job import DIED
from faults.scenarios import SCENARIOS, Scenario
from faults.tally import Tally
from patience import patient

_FULL: Final = frozenset(CHANGES) - {"unlink", "unlinkat", "rmdir", "fchmod"}
_LASTING: Final = ("pwrite64", "fsync", "fdatasync", "rename")
_LASTS_S: Final = 0.6
# By a stable code, or, where the log alone tells, in the system's own words.
_REASON: Final = re.compile(
    r"(?i)\[(disk-full|storage|unreachable|journal)\]|Input/output error|I/O error"
    r"|No space left|Disk quota exceeded|Too many open files|unable to open database file"
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One run: what the ``call`` of an undisturbed run is answered."""

    scenario: Scenario
    call: Call
    error: str
    lasting: bool

    def __str__(self) -> str:
        how = "from" if self.lasting else "at"
        return f"{self.scenario.name}: {self.error} {how} {self.call}"

    @property
    def injections(self) -> list[Injection]:
        what = f"error={self.error}"
        if not self.lasting:
            return [Injection(self.call.name, self.call.nth, what)]
        return [Injection(self.call.name, self.call.nth, what, lasting=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Which errors are tried, and upon whom."""

    runs: int | None = None  # chosen by chance; None: all
    scenarios: tuple[Scenario, ...] = SCENARIOS
    errors: tuple[str, ...] = ("EIO", "ENOSPC", "EDQUOT", "EMFILE")
    about: str = ""
    broken: str | None = None
    limit_s: float = patient(20.0)
    seed: int = 7


def may_fail(call: Call, error: str) -> bool:
    """Whether a system may answer ``call`` with ``error``, and it matters to us."""
    match error:
        case "EMFILE":
            return call.name in (*OPENS, *SOCKETS)
        case "EIO":
            return call.here and (call.changes or call.name in READS)
        case _:
            return call.changes and call.name in _FULL


def run(ground: Ground, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally = Tally()
    for trouble in _plan(ground, aim, tally):
        tally.blame(trouble, _suffer(ground, aim, trouble, tally))
        tally.count[trouble.error] += 1
        tally.count["lasting" if trouble.lasting else "once"] += 1
        yield tally


def _plan(ground: Ground, aim: Aim, tally: Tally) -> list[Trouble]:
    found = []
    for scenario in aim.scenarios:
        with ground.place(scenario) as place:
            calls = [one for one in place.run(trace=True).calls if aim.about in one.about]
        made = [
            Trouble(scenario, call, error, lasting)
            for error in aim.errors
            for call in calls
            for lasting in ((False, True) if call.name in _LASTING else (False,))
            if may_fail(call, error)
        ]
        tally.points[scenario.name] = len(made)
        found += made
    chance = random.Random(aim.seed)
    return found if aim.runs is None else chance.sample(found, min(aim.runs, len(found)))


def _suffer(ground: Ground, aim: Aim, trouble: Trouble, tally: Tally) -> list[str]:
    """Do one run; return what is wrong."""
    wrong: list[str] = []
    with ground.place(trouble.scenario, broken=aim.broken) as place:
        limit_s = _LASTS_S if trouble.lasting else aim.limit_s
        ran = place.run(*trouble.injections, limit_s=limit_s)
        tally.count["hit" if ran.hit else "missed"] += 1
        wrong += oracle.at_rest(place.tree, trouble.scenario)
        if ran.hit and not _told(ran):
            if any(map(_must_be_told, ran.hit)):
                wrong.append(f"silent: nothing says why\n{ran.log[-800:]}")
            tally.count["absorbed"] += 1
        if ran.code == DIED:
            tally.count["restarted"] += 1
            if trouble.call.here and not _refused_to_start(ran):
                wrong.append(f"died: {ran.end}")
        if not ran.done:
            if ran.code != DIED and not trouble.lasting:
                wrong.append(f"stuck: {ran.end}")
            ran = place.run(limit_s=aim.limit_s)
        if not ran.done:
            return [*wrong, f"stuck: {ran.end}"]
        # A step back that could be told and not be kept is taken, and told, in the next life too.
        aside = oracle.TROUBLED | ({"failed", "dropped"} if trouble.lasting else set())
        wrong += oracle.at_end(place.tree, trouble.scenario, place.serve.running, aside=aside)
        return wrong + oracle.at_rest(place.tree, trouble.scenario)


def _must_be_told(call: Call) -> bool:
    """Whether it matters to anybody that ``call`` failed once, and all went well.

    What SQLite does over is its own affair: a commit that fails is told by ours. Folders that
    are there need not be made; the pid in the lock is for who looks on; OpenSSL had read the
    certificate before it looked for more; what is proven stands in its journal as well; and what
    is looked at outside of the folder (sensors, the interpreter's modules) may be missing.
    """
    if not call.changes and ("manifests/" in call.about or "director.json" in call.about):
        # How much has arrived matters to nobody; a kept document that is not read stands.
        return False
    words = ("spool.db", "agent.lock", "/device>", '/device"', "console-ca.pem", ".proven")
    return call.here and call.name != "mkdir" and not any(word in call.about for word in words)


def _told(ran: Ran) -> bool:
    return _REASON.search(ran.log) is not None


def _refused_to_start(ran: Ran) -> bool:
    """Whether it ended as a command does that says why it cannot run."""
    return ran.log.rstrip().rpartition("\n")[2].startswith("littoral.errors.")
