"""How much memory a process says that it has."""

import subprocess
import sys
from pathlib import Path

import pytest

from littoral.resident import peak_bytes, resident_bytes

MIB = 2**20
HELD_AND_GONE = f"""
from littoral.resident import peak_bytes, resident_bytes
before = resident_bytes(), peak_bytes()
block = b"x" * {64 * MIB}  # written to: else it costs nothing
held = resident_bytes()
del block
print(*before, held, resident_bytes(), peak_bytes())
"""


def test_what_is_given_back_counts_for_the_peak_alone() -> None:
    command = [sys.executable, "-c", HELD_AND_GONE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, most, held, after, peak = map(int, done.stdout.split())
    assert most > before - MIB > 0  # the kernel counts in batches
    assert 63 * MIB < held - before < 80 * MIB
    assert after < before + 16 * MIB
    assert held - MIB < peak < held + 16 * MIB


def test_the_peak_is_no_parents() -> None:
    """As getrusage has it: a child begins with what its parent had."""
    block = b"x" * (256 * MIB)
    command = [sys.executable, "-c", "from littoral.resident import *; print(peak_bytes())"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < len(block)


def test_a_machine_that_does_not_tell_is_asked_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: "Name: x\n")
    assert (resident_bytes(), peak_bytes()) == (None, None)

    def gone(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", gone)
    assert (resident_bytes(), peak_bytes()) == (None, None)
