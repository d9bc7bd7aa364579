"""What failed, a line for each test, in the file that ``FAILED`` names: for whoever asks it again.

The last line says how the session ended, in words: without it, it was cut off.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest

_LETTERS: Final = 220


def lines(stats: Mapping[str, Iterable[Any]], status: int) -> list[str]:
    """Return ``NODEID: the first line of why``, each test once, and how the session ended."""
    told: dict[str, str] = {}
    for report in (*stats.get("failed", ()), *stats.get("error", ())):
        told.setdefault(report.nodeid, _why(report))
    ended = pytest.ExitCode(status).name.lower().replace("_", " ")
    return [*(f"{name}: {why}"[:_LETTERS] for name, why in told.items()), ended]


def _why(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    words = crash.message if crash else str(report.longrepr)
    first = next(iter(words.strip().splitlines()), "no words")
    return f"{report.when}: {first}"
