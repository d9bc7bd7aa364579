"""Every fsync is left out once, of each who asks for one: and somebody must notice.

What nobody notices is either not needed, or the states are too few.
"""

from collections.abc import Iterator
from dataclasses import replace

from faults import crash
from faults.crash import Aim, Updates
from faults.crash_states import Recording, survey
from faults.crash_waker import Waker
from faults.ground import Ground
from faults.scenarios import Scenario
from faults.tally import Tally


def run(ground: Ground, aim: Aim) -> Iterator[Tally]:
    """Leave out one after the other; what is found is what was not noticed."""
    tally = Tally()
    recordings = [
        (crash.record(ground, scenario, acknowledged=acknowledged), scenario)
        for scenario in aim.scenarios
        for acknowledged in aim.acknowledged
    ]
    where: dict[str, list[tuple[Recording, Scenario]]] = {}
    for recording, scenario in recordings:
        for site, times in recording.sites().items():
            where.setdefault(site, []).append((recording, scenario))
            tally.points[site] += times
    with Waker(ground) as waker:
        for site, those in where.items():
            noticed = _noticed(ground, waker, aim, those, site)
            tally.blame(site, [] if noticed else ["nothing: nobody notices"])
            if noticed:
                tally.count[f"{site}: {noticed}"] += 1
            yield tally


def _noticed(
    ground: Ground,
    waker: Waker,
    aim: Aim,
    where: list[tuple[Recording, Scenario]],
    site: str,
) -> str | None:
    """Return as what it is noticed that ``site`` asks for no fsync: first by looking alone."""
    for share in (0.0, aim.share):
        for recording, scenario in where:
            judge = Updates(ground, waker, replace(aim, share=share), Tally(), scenario)
            for found in survey(recording, judge, Tally(), without=site):
                if found.bad:
                    return ", ".join(sorted(found.bad))
    return None
