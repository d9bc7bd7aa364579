"""Kills at calls of a real update, by strace: a few; and broken rules, each of which is found."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults import errors, kills, teeth
from faults.ground import Ground, ground
from faults.scenarios import SCENARIOS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may trace what it did not start"),
]
BY_NAME = {one.name: one for one in SCENARIOS}


@dataclass(frozen=True)
class Tooth:
    """Which kills find a rule that is broken, and what is found."""

    scenario: str
    about: str
    finds: str


TEETH = {
    "in_place": Tooth("update", "journals/", "partial"),
    "named_early": Tooth("update", "blobs/", "partial"),
    "undigested": Tooth("spoiled", "blobs/", "partial"),
    "trusted_early": Tooth("fails-watch", "journals/digits.json", "no-start"),
    "collected_early": Tooth("update", "journals/digits.json", "no-start"),
    "said_anew": Tooth("update", "spool.db-wal", "reports"),
    "said_apart": Tooth("update", "spool.db-wal", "reports"),
    "never_collected": Tooth("update", "manifests/", "left"),
    "woken_to_nothing": Tooth("update", "blobs/.part", "stuck"),
}


@pytest.fixture(scope="module")
def here() -> Iterator[Ground]:
    with ground() as here:
        yield here


def test_kills_leave_no_part_no_standstill_and_no_start_without_a_model(here: Ground) -> None:
    for tally in kills.run(here, kills.Aim(runs=12)):
        assert not tally.found, tally.found
    assert tally.count["hit"] >= 10


def test_second_kills_hit_what_the_first_made_necessary(here: Ground) -> None:
    proven = BY_NAME["proven"]
    for tally in kills.run(here, kills.Aim(runs=6, scenarios=(proven,), about="journals/.digits")):
        assert not tally.found, tally.found
    assert tally.count["hit"] >= 5


@pytest.mark.parametrize("rule", sorted(TEETH))
def test_a_rule_that_is_broken_is_found(here: Ground, rule: str) -> None:
    tooth = TEETH[rule]
    aim = kills.Aim(
        scenarios=(BY_NAME[tooth.scenario],), about=tooth.about, broken=rule, limit_s=0.8
    )
    for tally in kills.run(here, aim):
        if tally.bad[tooth.finds]:
            return
    pytest.fail(f"{rule}: {tally.runs} runs found nothing of {tooth.finds}: {tally.bad}")


def test_a_disk_that_says_no_is_told_of_and_got_over(here: Ground) -> None:
    for tally in errors.run(here, errors.Aim(runs=12)):
        assert not tally.found, tally.found
    assert tally.count["hit"] >= 8


def test_an_error_that_leaves_something_is_found(here: Ground) -> None:
    aim = errors.Aim(
        scenarios=(BY_NAME["update"],),
        errors=("ENOSPC",),
        about="journals/",
        broken="litter",
        limit_s=3.0,
    )
    for tally in errors.run(here, aim):
        if tally.bad["left"]:
            return
    pytest.fail(f"{tally.runs} runs found nothing: {tally.bad}")


def test_what_was_measured_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for scenario in SCENARIOS:
        assert f"`{scenario.name}`" in page
    for rule in teeth.BROKEN:
        assert f"`{rule}`" in page
