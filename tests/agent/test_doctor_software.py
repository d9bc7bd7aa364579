"""Python and its packages, as doctor sees them."""

import re
import tomllib
from pathlib import Path

import pytest

from littoral.tree import Tree
from littoral_agent.doctor import software
from littoral_agent.doctor.finding import Place

ROOT = Path(__file__).parents[2]
HERE = Place(Tree(Path("/nowhere")))


def test_this_machine_is_well() -> None:
    assert software.python(HERE).state == "ok"
    assert software.packages(HERE).state == "ok"
    assert software.pycoral(HERE).state == "ok"


def test_the_versions_are_those_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = {}
    for line in [*project["dependencies"], *extras["agent"], *extras["serve"]]:
        name, least, below = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<([\d.]+))?", line).groups()  # type: ignore[union-attr]
        asked[name] = (software.numbers(least), software.numbers(below or "1000"))
    assert asked == software.NEEDED


def test_what_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"no-such-package": ((1,), (2,)), "click": ((1000,), (1001,))}
    monkeypatch.setattr(software, "NEEDED", needed)
    found = software.packages(HERE)
    assert found.state == "fail"
    assert "no-such-package is missing" in found.wrong
    assert re.search(r"click is 8\S+, and should be 1000 or later, below 1001", found.wrong)
    assert found.do.endswith("-m pip install 'littoral[agent,serve]'")


def test_a_machine_for_which_there_is_no_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv6l")
    assert software.python(HERE).state == "fail"
    monkeypatch.undo()
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.24"))
    assert "glibc 2.28 or later" in software.python(HERE).wrong
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))  # as musl has it
    assert software.python(HERE).state == "fail"


@pytest.mark.parametrize(
    ("version", "summary", "state"),
    [
        ("0.2.0", "Simple CLI for Allen Coral Atlas", "warn"),
        ("2.0.0", "Coral Python API", "ok"),
    ],
)
def test_the_pycoral_that_has_nothing_to_do_with_coral(
    tmp_path: Path, version: str, summary: str, state: str
) -> None:
    about = tmp_path / f"usr/local/lib/python3.11/dist-packages/pycoral-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Name: pycoral\nVersion: {version}\nSummary: {summary}\n")
    found = software.pycoral(Place(HERE.tree, tmp_path))
    assert found.state == state
    assert version in found.found
    assert ("pip uninstall pycoral" in found.do) is (state == "warn")


@pytest.mark.parametrize(
    ("version", "parts"), [("7.0.1", (7, 0, 1)), ("2.4.0rc1", (2, 4, 0)), ("", ()), ("x", ())]
)
def test_versions_are_compared_by_their_numbers(version: str, parts: tuple[int, ...]) -> None:
    assert software.numbers(version) == parts
