"""A device behind bad networks, in short; and rules that are broken are found."""

import itertools
from collections.abc import Iterator

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")
pytest.importorskip("fastapi")

from faults import network
from faults.network_cells import Cell
from faults.network_scene import Stage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(network.missing() != "", reason=network.missing() or "all is there"),
]
CELLS = (
    Cell("cut", "https"),
    Cell("portal", "https"),
    Cell("killed", "mqtt"),
)
TEETH = {  # the rule, in which cell it is broken, and what is found
    "from_the_start": (Cell("killed", "https"), "twice"),
    "said_twice": (Cell("killed", "https"), "doubled"),
    "offended": (Cell("portal", "https"), "code"),
}
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("network"), size=1_500_000) as found:
        yield found


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_release_comes_through_whatever_the_network_does(stage: Stage, cell: Cell) -> None:
    figures, wrong = network.suffer(stage, cell, name=f"pi-{next(NUMBERS)}")
    assert not wrong, "\n".join(wrong)
    assert figures.came >= figures.bytes
    assert figures.reports >= 8


@pytest.mark.parametrize("rule", sorted(TEETH))
def test_a_rule_that_is_broken_is_found(stage: Stage, rule: str) -> None:
    cell, finds = TEETH[rule]
    _, wrong = network.suffer(stage, cell, name=f"pi-{next(NUMBERS)}", broken=rule)
    assert finds in {one.partition(":")[0] for one in wrong}, wrong
