"""The long benchmarks in short: what they measure is there, and the bytes are what is promised.

Times are not judged here, where other tests run beside it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patience import patient
from simulators.console import needs_broker

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def rows(script: str, *words: str) -> dict[str, Any]:
    """Run a script as ``make bench`` does; return its rows by what they are of."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{script}.py"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(200),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return {row["what"]: row for row in told["rows"]}


def test_a_crowd_that_fetches_is_done_in_the_consoles_eyes() -> None:
    found = rows(
        "fetching", "--devices", "12", "--bytes", "300000", "--mbit", "0", "--processes", "2"
    )
    assert found["done, as the console knows it"]["value"] == 12
    assert found["errors"]["value"] == 0
    assert found["payload"]["value"] == pytest.approx(12 * 0.3, rel=0.01)
    assert found["event loop's lag, 99 % within"]["value"] > 0


@needs_broker
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "patch"])
def test_an_update_costs_no_more_bytes_than_are_promised(kind: str) -> None:
    found = rows("update", "--model", "tiny", "--kind", kind)
    # A file this small weighs less than what is written down of any update.
    for what, more in (("bodies", 0), ("disk writes", 500_000)):
        row = found[f"{kind}: {what}"]
        assert 0 < row["value"] <= row["most"] + more, row
    assert (found[f"{kind}: of the file"]["value"] > 99) == (kind == "plain")
    assert found[f"{kind}: push to serving"]["value"] < 60
