"""Kills at every call that changes anything: single ones, and double ones, of which the second
hits the recovery of the first.

A run is: a device in its start state; a victim that is killed at its n-th call; often serve too,
as when power is lost; a look at what a serve that starts now would find; again for a second
kill; and a victim that lives to its end, after which nothing may be missing, left or told twice.
"""

import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from faults import oracle
from faults.calls import Call, Injection
from faults.ground import Ground
from faults.scenarios import SCENARIOS, Scenario
from faults.tally import Tally
from patience import patient

KILL = "signal=SIGKILL"


@dataclass(frozen=True, slots=True)
class Kill:
    """One run: where the victim is killed first, and perhaps again."""

    scenario: Scenario
    calls: tuple[Call, ...]
    power: bool  # whether serve dies too, and both wake in another boot

    def __str__(self) -> str:
        at = ", then ".join(map(str, self.calls))
        return f"{self.scenario.name}: {'power' if self.power else 'kill'} at {at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Which kills are tried, and upon whom."""

    runs: int | None = None  # None: every single kill, and as many double ones
    scenarios: tuple[Scenario, ...] = SCENARIOS
    about: str = ""  # only calls about this
    broken: str | None = None  # a rule of faults.teeth that the victims break
    limit_s: float = patient(20.0)  # a victim that is not done by then is stuck
    seed: int = 7


def points(ground: Ground, aim: Aim, scenario: Scenario) -> list[Call]:
    """Return the calls of an undisturbed run at which a kill can leave something."""
    with ground.place(scenario, broken=aim.broken) as place:
        ran = place.run(trace=True, limit_s=aim.limit_s)
        wrong = oracle.at_end(place.tree, scenario, place.serve.running)
    if aim.broken is None and (wrong or not ran.done):
        raise RuntimeError(f"{scenario.name}, undisturbed: {ran.code} {wrong}\n{ran.log[-3000:]}")
    return [call for call in ran.calls if call.changes and aim.about in call.about]


def plan(calls: dict[Scenario, list[Call]], *, runs: int | None, seed: int) -> list[Kill]:
    """Return every single kill, and as many double ones as there are runs left.

    Fewer runs than single kills: so many of those, chosen by chance.
    """
    chance = random.Random(seed)
    single = [
        Kill(scenario, (call,), power=bool(n % 2))
        for scenario, made in calls.items()
        for n, call in enumerate(made)
    ]
    wanted = 2 * len(single) if runs is None else runs
    if wanted <= len(single):
        return chance.sample(single, wanted)
    double = []
    for _ in range(wanted - len(single)):
        scenario = chance.choice(list(calls))
        pair = (chance.choice(calls[scenario]), chance.choice(calls[scenario]))
        double.append(Kill(scenario, pair, power=chance.random() < 0.5))
    return single + double


def run(ground: Ground, aim: Aim) -> Iterator[Tally]:
    """Do what ``aim`` says; yield the same tally after each run."""
    tally = Tally()
    calls = {scenario: points(ground, aim, scenario) for scenario in aim.scenarios}
    tally.points.update({scenario.name: len(made) for scenario, made in calls.items()})
    for kill in plan(calls, runs=aim.runs, seed=aim.seed):
        tally.blame(kill, _suffer(ground, aim, kill, tally))
        tally.count["power" if kill.power else "kill"] += 1
        tally.count["double" if len(kill.calls) > 1 else "single"] += 1
        yield tally


def _suffer(ground: Ground, aim: Aim, kill: Kill, tally: Tally) -> list[str]:
    """Do one run; return what is wrong."""
    wrong: list[str] = []
    with ground.place(kill.scenario, broken=aim.broken) as place:
        for call in kill.calls:
            ran = place.run(Injection(call.name, call.nth, KILL), limit_s=aim.limit_s)
            killed = ran.code == -signal.SIGKILL
            tally.count["hit" if killed else "missed"] += 1
            if not killed and not ran.done:
                wrong.append(f"stuck: not killed, and not done: {ran.end}")
            wrong += oracle.at_rest(place.tree, kill.scenario)
            if kill.power:
                place.lose_power()
        ran = place.run(limit_s=aim.limit_s)
        if not ran.done:
            return [*wrong, f"stuck: {ran.end}"]
        wrong += oracle.at_end(place.tree, kill.scenario, place.serve.running)
        return wrong + oracle.at_rest(place.tree, kill.scenario)
