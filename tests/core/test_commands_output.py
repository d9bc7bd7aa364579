"""How a command prints."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from littoral.commands.output import emit


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
