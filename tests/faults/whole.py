"""Kills of a whole device: both programs real, all threads on, at moments that no table knows.

A run is: a device in its start state, agent and serve started, a client that asks for predictions
all the while; a kill of the agent, of serve, of both or of the trial's child, after some time or
at some thread's n-th call; whoever died is started again, as systemd does; perhaps a second kill;
and then everything that is promised has to be so within half a minute.
"""

import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from faults import calls, oracle
from faults.calls import Call, Injection
from faults.pair import Pair, Victim
from faults.scenarios import NEXT, SCENARIOS, SOUND, Scenario
from faults.shore import Shore
from faults.tally import Tally
from littoral.errors import LittoralError
from patience import patient

# What fails on probation passes a test: no real model does that.
_LEFT_OUT: Final = ("fails-watch", "rolled-back", "patched", "spoiled")
WHOLE: Final = tuple(one for one in SCENARIOS if one.name not in _LEFT_OUT)
TRIAL: Final[tuple[Victim, ...]] = ("trial",)
VICTIMS: Final[tuple[tuple[Victim, ...], ...]] = (
    ("agent",),
    ("serve",),
    TRIAL,
    ("agent", "serve"),
)
_INTERRUPTED: Final = frozenset({"woke", "stumbled"})
_RUNS: Final = 240
_LOOKED_S: Final = 0.05
_NEVER_S: Final = 6.0  # whatever was not met by then will not be


@dataclass(frozen=True, slots=True)
class Kill:
    """Who is killed, after which time or at which call; of a trial, the time is what it lived."""

    victims: tuple[Victim, ...]
    after_s: float = 0.0
    call: Call | None = None

    def __str__(self) -> str:
        who = " and ".join(self.victims)
        return f"{who} at {self.call}" if self.call else f"{who} after {self.after_s:.2f} s"


@dataclass(frozen=True, slots=True)
class Run:
    """A scenario, and its kills."""

    scenario: Scenario
    kills: tuple[Kill, ...]

    def __str__(self) -> str:
        return f"{self.scenario.name}: {', then '.join(map(str, self.kills))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """How many runs, and upon whom."""

    runs: int | None = None  # None: 240; 0: undisturbed lives alone
    scenarios: tuple[Scenario, ...] = WHOLE
    broken: str | None = None  # a rule of faults.teeth that the agent breaks
    limit_s: float = patient(30.0)  # a device that is not done by then is stuck
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Lived:
    """How long an undisturbed life is, and at which calls its agent can be killed."""

    seconds: float
    calls: tuple[Call, ...]


def run(shore: Shore, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally = Tally()
    lived = {one: _undisturbed(shore, aim, one, tally) for one in aim.scenarios}
    if tally.found:
        yield tally
        return
    chance = random.Random(aim.seed)
    for _ in range(_RUNS if aim.runs is None else aim.runs):
        planned = plan(lived, chance)
        tally.blame(planned, suffer(shore, aim, planned, tally))
        yield tally


def plan(lived: dict[Scenario, Lived], chance: random.Random) -> Run:
    """Return a run by chance: every second one has two kills."""
    scenario = chance.choice(list(lived))
    times = chance.randint(1, 2)
    return Run(scenario, tuple(_kill(scenario, lived[scenario], chance, n) for n in range(times)))


def _kill(scenario: Scenario, lived: Lived, chance: random.Random, nth: int) -> Kill:
    tries = scenario.start in ("empty", "good") and scenario.wish is not None
    victims = chance.choice([one for one in VICTIMS if tries or one != TRIAL])
    if victims == ("agent",) and nth == 0 and chance.random() < 0.7:
        return Kill(victims, call=chance.choice(lived.calls))
    most_s = 0.4 if victims == TRIAL else lived.seconds
    return Kill(victims, after_s=chance.uniform(0, most_s))


def _undisturbed(shore: Shore, aim: Aim, scenario: Scenario, tally: Tally) -> Lived:
    with shore.pair(scenario, broken=aim.broken) as pair:
        begun = time.monotonic()
        pair.start(trace=aim.runs != 0)
        wrong = _end(shore, pair, scenario, aim.limit_s)
        seconds = time.monotonic() - begun
        wrong += _stopped(pair, scenario)
        traced = calls.read(pair.trace, pair.tree.root) if aim.runs != 0 else []
        made = tuple(one for one in traced if one.changes)
        if wrong:
            wrong[-1] += f"\n{pair.log[-3000:]}"
    tally.blame(f"{scenario.name}, undisturbed", wrong)
    tally.points[scenario.name] = len(made)
    return Lived(seconds, made)


def suffer(shore: Shore, aim: Aim, planned: Run, tally: Tally) -> list[str]:
    """Do one run; return what is wrong."""
    wrong: list[str] = []
    with shore.pair(planned.scenario, broken=aim.broken) as pair:
        for kill in planned.kills:
            hit = _hit(pair, kill)
            tally.count["hit" if hit else "missed"] += 1
            tally.count[" and ".join(kill.victims)] += hit
            if not pair.runs("agent"):
                wrong += oracle.at_rest(pair.tree, planned.scenario)
        pair.start()
        wrong += _end(shore, pair, planned.scenario, aim.limit_s)
        wrong += _stopped(pair, planned.scenario)
        if wrong:
            wrong[-1] += f"\n{pair.log[-3000:]}"
    return wrong


def _hit(pair: Pair, kill: Kill) -> bool:
    """Let both live until it is time, and kill; return whether there was somebody to kill."""
    if kill.call is not None:
        pair.start(Injection(kill.call.name, kill.call.nth, "signal=SIGKILL"))
        if pair.wait("agent", _NEVER_S):
            return True
        pair.kill("agent")
        return False
    pair.start()
    if kill.victims == TRIAL:
        return pair.kill_trial(after_s=kill.after_s, within_s=_NEVER_S)
    time.sleep(kill.after_s)
    return pair.kill(*kill.victims)


def _end(shore: Shore, pair: Pair, scenario: Scenario, limit_s: float) -> list[str]:
    """Wait until all is as it should be; return what is not when there is no time left."""
    until = time.monotonic() + limit_s
    while True:
        try:
            wrong = _not_so(shore, pair, scenario)
        except (OSError, ValueError, LittoralError, sqlite3.Error) as e:
            wrong = [f"unreadable: {type(e).__name__}: {e}"]
        if not wrong:
            return []
        if time.monotonic() > until:
            return ["stuck: not as it should be after all that time", *wrong]
        time.sleep(_LOOKED_S)


def _not_so(shore: Shore, pair: Pair, scenario: Scenario) -> list[str]:
    """Say what is not yet what it has to become: on the device, in serve, at the console."""
    reports = shore.fleet.reports
    wrong = oracle.at_end(pair.tree, scenario, pair.loaded, aside=_INTERRUPTED, reports=reports)
    if not pair.up:
        wrong.append("silent: the agent does not speak with its console")
    status, good = shore.fleet.console.statuses.get("pi-7"), scenario.goal.good
    said = [(one.release, one.good) for one in status.models] if status else None
    if said != [(good, good)]:
        wrong.append(f"status: the console was told {said}; expected release {good}")
    return wrong


def _stopped(pair: Pair, scenario: Scenario) -> list[str]:
    """End both in order; return what is wrong when nobody is at work any more."""
    wrong = [] if pair.loaded == _expected(scenario) else [f"end: serve runs {pair.loaded}"]
    if (code := pair.stop()) != 0:
        wrong.append(f"died: the agent ended with {code}")
    wrong += oracle.at_rest(pair.tree, scenario)
    wrong += [f"orphan: {one}" for one in pair.left_running()]
    return [*wrong, *_ill_served(pair, scenario)]


def _expected(scenario: Scenario) -> dict[str, int]:
    return {} if scenario.goal.good is None else {"digits": scenario.goal.good}


def _ill_served(pair: Pair, scenario: Scenario) -> Iterator[str]:
    """Say which predictions nobody should ever have got, or been refused."""
    may = scenario.may_serve | ({SOUND, NEXT} if scenario.start == "probation" else set())
    always = scenario.start != "empty" and scenario.wish is not None
    for one in pair.client.asked:
        if isinstance(one.answer, int):
            if one.answer not in may:
                yield f"outputs: release {one.answer} answered; only {may} may"
        elif one.answer.startswith("other"):
            yield f"outputs: {one.answer}"
        elif always and any(begun <= one.begun and one.ended < end for begun, end in pair.served):
            yield f"dropped: {one.answer}"
