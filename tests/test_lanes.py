"""How the suite is spread: what must not be parted is not, and what is long begins first."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lanes

ROOT = Path(__file__).parents[1]


def test_a_file_stays_together_and_so_does_what_is_there_once() -> None:
    one, other = "tests/core/test_a.py::test_x[a::b]", "tests/core/test_b.py::test_x"
    assert lanes.lane(one) == "tests/core/test_a.py" != lanes.lane(other)
    packages = [f"tests/packaging/{path.name}" for path in ROOT.glob("tests/packaging/test_*.py")]
    assert {lanes.lane(f"{name}::test_x") for name in packages} == {lanes.MACHINE}


def test_what_begins_first_is_there() -> None:
    assert {
        name for name in lanes.LONG if name != lanes.MACHINE and not (ROOT / name).exists()
    } == set()


def test_long_lanes_begin_first_and_the_rest_keeps_its_order() -> None:
    names = ["tests/core/test_b.py::b", "tests/core/test_a.py::a", f"{lanes.LONG[0]}::x"]
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in names]
    lanes.sort(items)
    assert [item.nodeid for item in items] == [names[2], names[0], names[1]]
