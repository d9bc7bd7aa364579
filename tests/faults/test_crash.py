"""Power that is lost at any moment of a real update: a short form, and fsyncs that are missed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import crash, crash_publisher
from faults.crash import Aim
from faults.crash_identity import STORIES
from faults.crash_updates import Extent
from faults.ground import Ground, ground
from faults.scenarios import SCENARIOS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may trace what it did not start"),
]
BY_NAME = {one.name: one for one in SCENARIOS}


@pytest.fixture(scope="module")
def here() -> Iterator[Ground]:
    with ground() as here:
        yield here


def test_power_cuts_leave_nothing_that_an_agent_does_not_mend(here: Ground) -> None:
    aim = Aim(
        scenarios=(BY_NAME["removed"], BY_NAME["rolled-back"]),
        acknowledged=(True,),
        stories=("renewed",),
        publisher=("published again",),
        fresh=False,
    )
    for tally in crash.run(here, aim):
        assert not tally.found, tally.found
    assert tally.count["states"] > 500
    assert tally.count["woken"] > 80


def test_power_cuts_while_it_wakes_are_mended_too(here: Ground) -> None:
    extent = Extent(again=0.5)
    aim = Aim(
        scenarios=(BY_NAME["replaced"],),
        acknowledged=(False,),
        stories=(),
        publisher=(),
        fresh=False,
        extent=extent,
    )
    for tally in crash.run(here, aim):
        assert not tally.found, tally.found
    assert tally.count["lost twice"] > 0


def test_every_fsync_that_is_left_out_is_missed_by_somebody(here: Ground) -> None:
    aim = Aim(
        scenarios=(BY_NAME["proven"],), acknowledged=(True,), stories=(), publisher=(), fresh=False
    )
    for tally in crash.without(here, aim):
        assert not tally.found, tally.found
    assert {site.partition(" ")[0] for site in tally.points} >= {
        "durable.replace_from",
        "durable.sync_folder",
        "sqlite:",
    }
    assert tally.runs >= 6


def test_what_is_recorded_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    told = page.partition("## Crash states")[2].partition("\n## ")[0]
    for name in (*STORIES, *crash_publisher.STORIES, "fresh"):
        assert f"`{name}`" in told
