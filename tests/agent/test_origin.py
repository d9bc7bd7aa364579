"""Answers that come too slowly, whatever they began with."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from littoral.errors import SlowError
from littoral_agent import origin


class Dripping:
    """An answer, of so many bytes after so many seconds, again and again."""

    def __init__(self, plan: Iterator[tuple[int, float]]) -> None:
        self.now_s, self._plan = 0.0, plan

    def read1(self, amount: int) -> bytes:
        count, seconds = next(self._plan, (0, 0.0))
        self.now_s += seconds
        return bytes(min(count, amount))


def read(monkeypatch: pytest.MonkeyPatch, *plan: tuple[int, float]) -> tuple[int, Dripping]:
    answer: Any = Dripping(iter(plan))
    monkeypatch.setattr(origin, "time", SimpleNamespace(monotonic=lambda: answer.now_s))
    try:
        return len(origin._capped("metadata/timestamp.json", answer, 5_000_000)), answer
    except SlowError:
        return -1, answer


@pytest.mark.parametrize(
    ("plan", "within_s"),
    [
        ([*[(65_536, 0.01)] * 60, *[(1, 29.0)] * 100_000], 120),  # a burst is no credit for ever
        ([(1, 29.0)] * 100_000, 60),  # each read is in time, and none of them is any use
    ],
    ids=["burst", "drip"],
)
def test_metadata_that_drips_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, plan: list[tuple[int, float]], within_s: float
) -> None:
    found, answer = read(monkeypatch, *plan)
    assert found == -1
    assert answer.now_s <= within_s


def test_who_is_slow_and_steady_is_heard_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found, answer = read(monkeypatch, *[(10_000, 25.0)] * 400)
    assert (found, answer.now_s) == (4_000_000, 10_000.0)
