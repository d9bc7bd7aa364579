"""A whole device, both programs real, is killed a few times; and broken rules are found."""

import os
import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from faults import whole
from faults.scenarios import SCENARIOS
from faults.shore import Shore, shore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may trace what it did not start"),
]
BY_NAME = {one.name: one for one in SCENARIOS}
TEETH = {  # the rule, where it is broken, and what is found
    "blind": ("fails-test", "outputs"),
    "never_collected": ("update", "left"),
}


@pytest.fixture(scope="module")
def here() -> Iterator[Shore]:
    with shore() as here:
        yield here


def test_killed_at_any_moment_both_come_to_what_is_wanted(here: Shore) -> None:
    for tally in whole.run(here, whole.Aim(runs=3, scenarios=(BY_NAME["update"],))):
        assert not tally.found, tally.found
    assert tally.count["hit"] >= 2


@pytest.mark.parametrize("rule", sorted(TEETH))
def test_a_rule_that_is_broken_is_found(here: Shore, rule: str) -> None:
    scenario, finds = TEETH[rule]
    aim = whole.Aim(runs=0, scenarios=(BY_NAME[scenario],), broken=rule, limit_s=5)
    for tally in whole.run(here, aim):
        assert tally.bad[finds], tally.found
