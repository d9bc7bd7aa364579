"""Crash states: all that a file system may hold after power was lost, at any moment.

What a device does is written down call by call, with its bytes. After each call every state is
made that no fsync rules out (faults.crash_disk), and judged: that of updates by
faults.crash_updates, that of who the device is by faults.crash_identity, that of a repository by
faults.crash_publisher. And every fsync is left out once, of each who asks for one: what nobody
notices then is not needed, or the states are too few.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from faults import crash_identity, crash_publisher, crash_victims
from faults.crash_identity import STORIES, Identities
from faults.crash_publisher import Publications
from faults.crash_states import Judge, Recording, survey
from faults.crash_updates import Extent, Left, Updates
from faults.crash_waker import Waker
from faults.ground import Ground
from faults.scenarios import SCENARIOS, Scenario
from faults.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is recorded, and how much of it is tried."""

    scenarios: tuple[Scenario, ...] = SCENARIOS
    acknowledged: tuple[bool, ...] = (False, True)  # whether a console takes each report at once
    stories: tuple[str, ...] = STORIES
    publisher: tuple[str, ...] = crash_publisher.STORIES
    fresh: bool = True  # a board from the beginning to its first model
    extent: Extent = field(default_factory=Extent)


@dataclass(frozen=True, slots=True)
class Subject:
    """A recording, and who judges its states."""

    recording: Recording
    judge: Callable[[Tally, Extent], Judge]


def subjects(ground: Ground, waker: Waker, aim: Aim) -> Iterator[Subject]:
    """Record what ``aim`` names."""
    for story in aim.publisher:
        recording = crash_publisher.record(ground, story)
        yield Subject(recording, _publications(ground, story))
    for story in aim.stories:
        recording, token = crash_identity.record(ground, story)
        yield Subject(recording, _identities(ground, story, token))
    if aim.fresh:
        first = next(one for one in SCENARIOS if one.start == "empty")
        yield Subject(crash_victims.record_fresh(ground), _updates(ground, waker, first))
    for scenario in aim.scenarios:
        for acknowledged in aim.acknowledged:
            recording = crash_victims.record(ground, scenario, acknowledged=acknowledged)
            yield Subject(recording, _updates(ground, waker, scenario))


def run(ground: Ground, aim: Aim) -> Iterator[Tally]:
    """Judge every state; yield the same tally after each call of a recording."""
    tally = Tally()
    with Waker(ground) as waker:
        for one in subjects(ground, waker, aim):
            judge = one.judge(tally, aim.extent)
            yield from survey(one.recording, judge, tally)
            if isinstance(judge, Updates):
                for left in judge.again:
                    yield from _again(ground, waker, judge.scenario, left, tally)


def _again(
    ground: Ground, waker: Waker, scenario: Scenario, left: Left, tally: Tally
) -> Iterator[Tally]:
    """Judge every state that is left when power is lost once more, while it wakes."""
    folder = ground.folder / "again"
    recording = crash_victims.record_again(ground, scenario, left.state, folder)
    judge = Updates(ground, waker, scenario, tally, Extent(boot="boot-3"), before=left)
    tally.count["lost twice"] += 1
    yield from survey(recording, judge, tally)
    shutil.rmtree(folder)


def without(ground: Ground, aim: Aim) -> Iterator[Tally]:
    """Leave out one fsync after the other; what is found is what nobody noticed."""
    tally = Tally()
    with Waker(ground) as waker:
        where: dict[str, list[Subject]] = {}
        for one in subjects(ground, waker, aim):
            for (kind, site), times in one.recording.sites().items():
                tally.points[site] += times
                if kind == "sync":
                    where.setdefault(site, []).append(one)
        tally.count["had nothing to keep"] = len(tally.points.keys() - where.keys())
        for site, those in where.items():
            noticed = _noticed(site, those, aim.extent)
            tally.blame(site, [] if noticed else ["nothing: nobody notices"])
            if noticed:
                tally.count[f"{noticed}: {site}"] += 1
            yield tally


def _noticed(site: str, those: list[Subject], extent: Extent) -> str | None:
    """Return as what it is noticed that ``site`` asks for no fsync.

    It is looked for where little was done first, and by looking alone before anybody wakes.
    """
    short = sorted(those, key=lambda one: sum(t.stat().st_size for t in one.recording.traces))
    for share in (0.0, extent.share):
        for one in short:
            judge = one.judge(Tally(), replace(extent, share=share))
            for found in survey(one.recording, judge, Tally(), without=site):
                if found.bad:
                    return ", ".join(sorted(found.bad))
    return None


def _publications(ground: Ground, story: str) -> Callable[[Tally, Extent], Judge]:
    return lambda tally, _: Publications(ground, story, tally)


def _identities(ground: Ground, story: str, token: str) -> Callable[[Tally, Extent], Judge]:
    return lambda tally, _: Identities(ground, story, token, tally)


def _updates(ground: Ground, waker: Waker, scenario: Scenario) -> Callable[[Tally, Extent], Judge]:
    return lambda tally, extent: Updates(ground, waker, scenario, tally, extent)
