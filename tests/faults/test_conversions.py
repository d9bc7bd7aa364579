"""Hostile inputs of `littoral convert`: some; and what the oracle takes for bad."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("tensorflow") is None:
    pytest.skip("the extra converter is not installed", allow_module_level=True)

from faults import conversions
from faults.conversions import Aim, Ended, wrong
from faults.conversions_cases import FAMILIES

pytestmark = pytest.mark.slow

CODES = frozenset({"malformed", "conversion"})
WORDS = "error: m.keras: damaged [malformed]\n"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keras models and samples: the families below begin with no other format."""
    folder = tmp_path_factory.mktemp("honest")
    make = Path(__file__).parents[1] / "converter" / "make_models.py"
    subprocess.run([sys.executable, make, folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(
    ("runs", "families"),
    [(13, ("nothing", "pickled", "sampled", "claiming")), (2, ("configured",)), (1, ("bombs",))],
)
def test_what_means_harm_ends_in_words(honest: Path, runs: int, families: tuple[str, ...]) -> None:
    tally = list(conversions.run(honest, Aim(runs=runs, families=families)))[-1]
    assert not tally.found, tally.found
    assert tally.runs == runs
    assert set(tally.count) <= {"malformed", "conversion", "usage", "largest process in MB"}


def ended(**other: object) -> list[str]:
    as_it_should_be = {"code": 1, "err": WORDS, "seconds": 1.0, "canary": False, "left": ()}
    return wrong(Ended(**(as_it_should_be | other)), CODES)  # type: ignore[arg-type]


def test_what_is_bad_is_found() -> None:
    assert ended() == []
    assert ended(code=0, err="") == []
    assert ended(code=-9, err="")[0].startswith("words: ''")
    assert ended(err="Traceback (most recent call last)\n" + WORDS)[0].startswith("words")
    assert ended(err=WORDS + WORDS)[0].startswith("words")
    assert ended(err="error: oh [defect]\n")[0].startswith("defect")
    assert ended(err="error: oh [strange]\n") == ["words: no code 'strange' in docs/errors.md"]
    assert ended(canary=True) == ["canary: code of the model's author ran"]
    assert ended(left=("out",)) == ["left: out"]
    assert ended(seconds=1000.0) == ["late: 1000 s"]


def test_what_is_tried_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    for name in FAMILIES:
        assert f"`{name}`" in page
