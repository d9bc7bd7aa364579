"""What is told of a session that failed: each test once, why, and how it ended."""

from types import SimpleNamespace
from typing import Any

import failed


def report(nodeid: str, words: str, when: str = "call") -> Any:
    crash = SimpleNamespace(message=words)
    return SimpleNamespace(nodeid=nodeid, when=when, longrepr=SimpleNamespace(reprcrash=crash))


def test_each_test_is_told_once_with_the_first_line_of_why() -> None:
    stats = {
        "passed": [report("tests/test_a.py::good", "nothing")],
        "failed": [report("tests/test_a.py::x", "AssertionError: 3 s\nassert 3 < 2")],
        "error": [
            report("tests/test_a.py::x", "it is not gone", "teardown"),
            SimpleNamespace(nodeid="tests/test_b.py", when="collect", longrepr="no such module"),
        ],
    }
    assert failed.lines(stats, 1) == [
        "tests/test_a.py::x: call: AssertionError: 3 s",
        "tests/test_b.py: collect: no such module",
        "tests failed",
    ]


def test_how_it_ended_is_its_last_line() -> None:
    assert failed.lines({}, 0) == ["ok"]
    assert failed.lines({}, 2) == ["interrupted"]
