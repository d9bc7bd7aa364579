"""All that is wrong with a settings file, in one go and with lines; and what holds in the end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from littoral.effective import Effective, Problem, choose, examine


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    poll_every_s: float = 300.0
    hardware: tuple[str, ...] = ()
    channel: Literal["auto", "mqtt"] = "auto"
    keep: int = 2
    most: int = 9

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise ValueError("'keep' should be 0 or more")
        if self.keep > self.most:
            raise ValueError("'keep' should be no more than 'most'")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.toml"


def of(path: Path, content: str) -> Effective:
    path.write_text(content)
    return examine(Config, (path,))


def test_everything_that_is_wrong_is_said_with_its_line(path: Path) -> None:
    found = of(
        path,
        "# of the shore\npoll_evry_s = 5\n\nchannel = 'pigeon'\n  keep = -1\n'hardware'= 3\n",
    )
    assert [(one.line, one.setting, one.error) for one in found.problems] == [
        (2, "poll_evry_s", "no setting 'poll_evry_s'; did you mean 'poll_every_s'?"),
        (4, "channel", "'channel' should be one of auto, mqtt, not 'pigeon'"),
        (5, "keep", "'keep' should be 0 or more"),
        (6, "hardware", "'hardware' should be a list, not 3"),
    ]
    assert [one.setting for one in found.values] == ["poll_every_s", "most"]


def test_settings_that_are_wrong_together_are_said_when_each_is_right(path: Path) -> None:
    found = of(path, "keep = 5\nmost = 6\n[extra]\n")
    assert [(one.line, one.setting) for one in found.problems] == [(3, "extra")]
    assert of(path, "most = 1\n").problems == (
        Problem(error="'keep' should be no more than 'most'", line=1, setting="most"),
    )
    assert of(path, "most = 3\nkeep = 5\n").problems == (
        Problem(error="'keep' should be no more than 'most'"),
    )


def test_a_value_says_where_it_comes_from(path: Path) -> None:
    found = of(path, '\nhardware = ["cpu-x86_64"]\n')
    assert found.problems == ()
    assert {one.setting: (one.value, one.line) for one in found.values} == {
        "poll_every_s": (300.0, None),
        "hardware": (["cpu-x86_64"], 2),
        "channel": ("auto", None),
        "keep": (2, None),
        "most": (9, None),
    }


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"keep = 2\npoll_every_s = \n", 2, "expected TOML: Invalid value"),
        (b"keep = 2\n[", 2, "expected TOML"),
        (b"keep = 2\nkeep = 3\n", 2, "Cannot overwrite"),
        (b"\n\n# \xff\n", 3, "expected UTF-8, found 0xff"),
        (b"#" * (2**20 + 1), None, "at most 1048576 bytes"),
        (b"hardware = " + b"[" * 9000, None, "lists in lists"),
    ],
)
def test_what_is_no_settings_file_is_one_problem(
    path: Path, content: bytes, line: int | None, words: str
) -> None:
    path.write_bytes(content)
    (problem,) = examine(Config, (path,)).problems
    assert problem.line == line
    assert words in problem.error


def test_the_first_place_that_is_there_is_read_and_the_other_one_is_named(tmp_path: Path) -> None:
    own, etc = tmp_path / "agent.toml", tmp_path / "etc.toml"
    assert choose((own, etc)) == (None, None)
    etc.write_text("keep = 3\n")
    assert choose((own, etc)) == (etc, None)
    own.write_text("keep = 4\n")
    found = examine(Config, (own, etc))
    assert (found.file, found.shadowed) == (own, etc)
    assert [one.value for one in found.values if one.line] == [4]


def test_without_a_file_every_setting_has_its_default() -> None:
    found = examine(Config, ())
    assert (found.file, found.problems) == (None, ())
    assert len(found.values) == 5
