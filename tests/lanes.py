"""How the suite is spread over workers (pytest-xdist): the tests of a file stay together.

What is there once on a machine is one lane, whose files never run beside each other. Long lanes
begin first, or the last of them would run alone at the end. Tests wait more than they compute:
there are more workers than processors.
"""

import os
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

MACHINE: Final = "this machine, booted a second time, and the packages, built once"
LANES: Final = {"tests/packaging/": MACHINE}
LONG: Final = (  # more than half a minute by itself, the longest first
    "tests/boot/test_boot.py",
    MACHINE,
    "tests/agent/test_lives.py",
    "tests/test_story_faults.py",
    "tests/faults/test_network.py",
    "tests/agent/test_with_console.py",
    "tests/console/test_crash.py",
    "tests/console/test_broker.py",
    "tests/console/test_disks.py",
    "tests/console/test_postgresql.py",
    "tests/faults/test_attacks.py",
    "tests/console/test_bucket.py",
    "tests/test_demo.py",
    "tests/test_benchmarks.py",
    "tests/serve/test_starting.py",
    "tests/serve/test_trial.py",
    "tests/faults/test_crash.py",
    "tests/faults/test_kills.py",
)


def lane(nodeid: str) -> str:
    """Return what a test is not parted from."""
    file = nodeid.partition("::")[0]
    return next((name for start, name in LANES.items() if file.startswith(start)), file)


class Lanes(LoadScopeScheduling):  # type: ignore[misc] # published without types
    """Hands out lanes as they come, a whole one to one worker."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


def sort(items: list[pytest.Item]) -> None:
    """Put the long lanes first."""
    rank = {name: n for n, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(lane(item.nodeid), len(rank)))


def workers() -> int:
    """Return how many: one more than can compute, and no more, or deadlines would be missed."""
    return (os.cpu_count() or 1) + 1
