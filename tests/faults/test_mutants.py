"""Mutated repositories and bundles: some thousand; and rules that are broken, which is found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import mutants, mutants_teeth
from faults.mutants_made import FAMILIES
from faults.mutants_world import World

pytestmark = pytest.mark.slow

FINDS = {  # what is found, and by which mutant at the latest
    "unsigned": ("believed", 10),
    "one_is_enough": ("believed", 757),
    "unread": ("believed", 30),
    "unguarded": ("escaped", 30),
    "unforgetting": ("stuck", 30),
}


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with mutants.world() as here:
        yield here


def test_nothing_of_another_meaning_is_believed(here: World) -> None:
    tally = list(mutants.run(here, mutants.Aim(runs=500)))[-1]
    assert not tally.found, tally.found
    assert set(tally.points) == set(FAMILIES)
    for code in ("believed", "signature", "malformed", "hash", "endless", "rollback"):
        assert tally.count[code] > 0


@pytest.mark.parametrize("rule", FINDS)
def test_a_rule_that_is_broken_is_found(here: World, rule: str) -> None:
    kind, number = FINDS[rule]
    with mutants_teeth.broken(rule):
        for tally in mutants.run(here, mutants.Aim(runs=300, first=max(0, number - 30))):
            if tally.bad[kind]:
                return
    pytest.fail(f"{rule}: nothing of {kind} was found")


def test_what_was_measured_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for name in (*FAMILIES, *mutants_teeth.BROKEN):
        assert f"`{name}`" in page
