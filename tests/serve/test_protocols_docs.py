"""docs/protocols.md says what is answered, and which test holds it: those tests are there."""

import re
from pathlib import Path

import pytest

from littoral_serve.http.bodies import Bodies
from littoral_serve.protocols import metrics

PAGE = (Path(__file__).parents[2] / "docs/protocols.md").read_text()
TABLES = [
    [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    if "held by" in table.splitlines()[0]
]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_each_row_names_what_holds_it() -> None:
    assert TABLES
    assert [row[0] for table in TABLES for row in table if not NAMED.search(row[-1])] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(PAGE))))
def test_what_holds_a_row_is_there(file: str, name: str) -> None:
    path = Path(__file__).with_name(file)
    assert path.is_file()
    assert re.search(rf"^(async )?def {name}\(", path.read_text(), re.MULTILINE)


def test_each_metric_is_told() -> None:
    families = re.findall(r"^# TYPE (\w+)", metrics.text([], Bodies(0)).decode(), re.MULTILINE)
    ours = [name for name in families if name.startswith("littoral_")]
    assert ours
    assert [name for name in ours if f"`{name}`" not in PAGE] == []
