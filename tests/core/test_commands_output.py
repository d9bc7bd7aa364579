"""How a command prints."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from littoral.commands.output import emit, printable


@dataclass(frozen=True)
class Part:
    path: Path
    size: int | None = None


@dataclass(frozen=True)
class Whole:
    part: Part
    parts: tuple[Part, ...]
    code: str | None = None


def test_a_key_is_there_also_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that asks for a key finds it, whatever the day."""
    emit({"whole": Whole(Part(Path("a")), (Part(Path("b"), 1),))}, as_json=True, text="")
    assert json.loads(capsys.readouterr().out) == {
        "whole": {
            "part": {"path": "a", "size": None},
            "parts": [{"path": "b", "size": 1}],
            "code": None,
        }
    }


def test_a_name_tells_the_terminal_nothing() -> None:
    """Of an operator in a model from anywhere: it could change the window's title, or a line."""
    said = printable("\x1b[32mok\x1b[0m\tCONV\x1b]0;pwn\x07\x1b[2J\n\x9b1mnext\rline\n")
    assert said == "\x1b[32mok\x1b[0m\tCONV\ufffd]0;pwn\ufffd\ufffd[2J\n\ufffd1mnext\ufffdline\n"
