"""Hostile encodings: some hundred; and rules that are broken, which is found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import encodings, encodings_teeth
from faults.encodings import World
from faults.encodings_made import FAMILIES

pytestmark = pytest.mark.slow

FINDS = {  # what is found, and by which at the latest
    "undigested": ("believed", 1),
    "unguarded": ("escaped", 7),
    "roomy": ("starved", 75),
}


@pytest.fixture(scope="module")
def here() -> Iterator[World]:
    with encodings.world() as here:
        yield here


def test_nothing_that_is_not_the_file_is_believed_or_costs_much(here: World) -> None:
    tally = list(encodings.run(here, encodings.Aim(runs=300, every=20)))[-1]
    assert not tally.found, tally.found
    assert set(tally.points) == set(FAMILIES)
    for code in ("malformed", "hash", "endless", "honest"):
        assert tally.count[code] > 0
    assert tally.count["in a child"] == 15


@pytest.mark.parametrize("rule", FINDS)
def test_a_rule_that_is_broken_is_found(here: World, rule: str) -> None:
    kind, number = FINDS[rule]
    aim = encodings.Aim(first=max(0, number - 10), runs=100, every=1, broken=rule)
    for tally in encodings.run(here, aim):
        if tally.bad[kind]:
            return
    pytest.fail(f"{rule}: nothing of {kind} was found")


def test_what_was_measured_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for name in (*FAMILIES, *encodings_teeth.BROKEN):
        assert f"`{name}`" in page
