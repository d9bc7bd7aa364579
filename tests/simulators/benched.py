"""``littoral bench`` as it is called: what it tells programs and people, and what it refuses."""

import json
from typing import Any, Final

import pytest
from click.testing import CliRunner

from littoral import door
from simulators.served import FIXTURES

TINY: Final = str(FIXTURES / "tiny_int8.tflite")
QUICK: Final = ("--duration", "0.2", "--no-operators")


def bench(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(door.littoral, ["bench", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def shown(*words: str) -> str:
    done = CliRunner().invoke(door.littoral, ["bench", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = door.main(["bench", *words])
    return status, capsys.readouterr().err
