"""/etc/littoral says every setting, as the code has it, and changes none."""

import re
from pathlib import Path

import pytest

from deb.conffiles import every
from deb.targets import PACKAGES
from littoral import settings
from littoral_agent.settings import Settings as Agent
from littoral_serve.settings import Settings as Serve

FILES = PACKAGES["agent"].files
BOTH = pytest.mark.parametrize(("name", "kind"), [("agent.toml", Agent), ("serve.toml", Serve)])


def test_they_are_as_the_code_is() -> None:
    run = "PYTHONPATH=packaging .venv/bin/python -m deb.conffiles"
    for name, text in every().items():
        assert (FILES / name).read_text() == text, f"run: {run}"
    assert {path.name for path in FILES.glob("*.toml")} == set(every())


@BOTH
def test_as_installed_they_change_nothing(name: str, kind: type[Agent | Serve]) -> None:
    assert settings.read(kind, FILES / name) == kind()


@BOTH
def test_each_line_may_lose_its_mark(tmp_path: Path, name: str, kind: type[Agent | Serve]) -> None:
    lines = (FILES / name).read_text().splitlines()
    freed = [line.removeprefix("#") for line in lines if re.match(r"#\w+ = ", line)]
    assert len(freed) == len(kind.__dataclass_fields__)
    (tmp_path / name).write_text("\n".join(freed))
    assert settings.read(kind, tmp_path / name) == kind()
