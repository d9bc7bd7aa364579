"""Attacks on a real agent, as its real console hears of them; and checks that are taken away."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import pytest

pytest.importorskip("fastapi")

from faults import attacks
from faults.attacks import ATTACKS, CELLS, NONE, ROLES, SOURCES, Cell
from faults.scene import Stage
from littoral.errors import every
from littoral.trust import director, rules
from littoral.trust.client import Client
from littoral_agent import download, origin
from littoral_agent.part import Part
from patience import patient

pytestmark = pytest.mark.slow
BY_NAME = {cell.name: cell for cell in CELLS}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


def test_the_table_is_whole() -> None:
    """Fourteen attacks, two roles, two sources: each is tried, or it is said why it cannot be."""
    assert (len(ATTACKS), len(CELLS)) == (14, 56)
    codes = {kind.code for kind in every()}
    for cell in CELLS:
        assert (cell.tried is None) == ((cell.attack, cell.role, cell.source) in NONE), cell
        assert cell.tried is None or cell.code in codes
    assert set(NONE) <= {(cell.attack, cell.role, cell.source) for cell in CELLS}


def half() -> list[Cell]:
    """Choose every attack in both roles, each by one of the two ways in turn."""
    chosen = [c for c in CELLS if SOURCES.index(c.source) == _turn(c) % 2]
    return [cell for cell in chosen if cell.tried]


def _turn(cell: Cell) -> int:
    return list(ATTACKS).index(cell.attack) + ROLES.index(cell.role)


def test_every_attack_is_refused_by_its_code_and_the_console_has_it(stage: Stage) -> None:
    for tally in attacks.run(stage, half()):
        assert not tally.found, tally.found
    assert tally.runs >= 24


class Gullible(Part):
    """Takes whatever arrived for what was signed."""

    is_true = True


class Anyone(director.Addressee):
    """Is whoever is meant."""

    def __ne__(self, other: object) -> bool:
        return False


def no_check(*_: object, **__: object) -> None:
    """Check nothing."""


def anybody(delegator: Any, role: str, _metadata: object) -> frozenset[str]:
    """Let every signature count."""
    return frozenset(delegator.get_delegated_role(role).keyids)


@dataclass(frozen=True)
class Tooth:
    """A check that is taken away, the attack that it was against, and what is found then."""

    cell: str
    where: object
    name: str
    instead: Any
    finds: str = "taken"


TEETH: Final = {
    "any signer": Tooth("wrong-signer-director-folder", director, "verify", anybody),
    "any device": Tooth("wrong-device-director-folder", director, "Addressee", Anyone),
    "no versions": Tooth(
        "rollback-of-metadata-image-folder", rules, "_not_older", no_check, "code"
    ),
    "no expiry": Tooth("freeze-image-folder", rules, "fresh", no_check),
    "no floor": Tooth("rollback-of-a-release-director-folder", Client, "floor", lambda *_: 0),
    "no digest": Tooth("arbitrary-image-folder", download, "Part", Gullible, "stranger"),
    "no end": Tooth("slow-image-https", origin, "SLOW_OVER_S", 1e9, "stuck"),
}


@pytest.mark.parametrize("name", TEETH)
def test_a_check_that_is_taken_away_is_missed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tooth = TEETH[name]
    monkeypatch.setattr(stage, "limit_s", patient(2.5))
    with patch.object(tooth.where, tooth.name, tooth.instead):
        found = attacks.attack(stage, BY_NAME[tooth.cell])
    assert any(one.startswith(tooth.finds) for one in found), found
