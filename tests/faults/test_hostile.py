"""Hostile models: some hundred; trials that are broken on purpose, which is found; and what was
found by thousands of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("httptools")

from faults import hostile, hostile_crafted, hostile_teeth, hostile_whole
from faults.hostile_cases import FAMILIES, Case, case
from faults.hostile_lane import Lane, lane
from faults.hostile_sources import small

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one() -> Iterator[Lane]:
    with lane(keeper=True) as one:
        yield one


def test_models_that_mean_harm_hurt_nobody() -> None:
    tally = list(hostile.run(hostile.Aim(runs=150)))[-1]
    assert not tally.found, tally.found
    assert tally.runs == 150
    assert min(tally.count[code] for code in ("passed", "backend", "outputs", "crash")) > 0


def test_models_hurt_nobody_whose_trials_serve_starts_by_itself() -> None:
    tally = list(hostile.run(hostile.Aim(runs=8, lanes=1, forked=False)))[-1]
    assert not tally.found, tally.found


def test_models_hurt_nobody_on_the_whole_way() -> None:
    tally = list(hostile_whole.run(hostile_whole.Aim(runs=8)))[-1]
    assert not tally.found, tally.found
    assert tally.runs == 8


@pytest.mark.parametrize(
    ("rule", "finds"), [("lenient", "outputs"), ("untried", "dead"), ("untried", "outputs")]
)
def test_a_trial_that_is_broken_is_found(rule: str, finds: str) -> None:
    for tally in hostile.run(hostile.Aim(runs=300, lanes=1, broken=rule)):
        if tally.bad[finds]:
            return
    pytest.fail(f"{rule}: nothing of {finds} was found")


def test_what_never_ends_on_zeros_is_ended_in_its_trial(one: Lane) -> None:
    """Serve warms what it loads on zeros, and would have waited for them for ever."""
    honest = next(source for source in small() if source.name == "tiny_float")
    data = hostile_crafted.endless_on_zeros(honest.data, Random(1))
    assert one.suffer(replace(of(honest.name), data=data)) == []
    assert one.codes["deadline"] == 1


def of(name: str) -> Case:
    """Return a case of the model ``name``, as its source made it."""
    found = (case(7, number) for number in range(1, 1000))
    made = next(one for one in found if one.source.name == name)
    source = made.source
    return replace(
        made,
        data=source.data,
        inputs=source.inputs,
        outputs=source.outputs,
        golden=source.golden,
        test={},
    )


def test_what_was_measured_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for name in (*FAMILIES, *hostile_teeth.IN_TRIAL):
        assert f"`{name}`" in page
