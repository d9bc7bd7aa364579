"""What the console hears of a step, beside what happened."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from littoral.wire.control import Tried
from littoral.wire.journal import State
from simulators.device import QUICK, Device
from simulators.repository import RepositorySimulator


def test_a_console_is_told_how_long_a_candidate_will_still_be_watched(tmp_path: Path) -> None:
    """Only the device knows its settings, and what it has watched before a power cut."""
    with RepositorySimulator(tmp_path) as repo:
        repo.publish(repo.bundle("digits", 1))
        settings = replace(QUICK, probation_s=3600.0)
        device = Device(tmp_path / "device", repo, settings=settings)
        device.order("digits", 1)
        device.settle(lambda: device.serve.calls[-1:] == ["probe"])
        held = device.life.journals["digits"]
        device.life.promises._ledger.write("digits", replace(held, watched_s=600.0))
        device.reboot()
        assert device.state("digits") is State.PROBATION
        figures = {r.update.event: r.update.figures for r in device.reports if r.update}
        device.stop()
    assert figures["passed"]["probation_left_s"] == 3600.0
    assert figures["woke"]["probation_left_s"] == pytest.approx(3000.0, abs=5)
    assert "probation_left_s" not in figures["fetched"]


def test_the_journal_is_told_of_which_release_a_line_is_and_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not of the release that serves on: ``journalctl MODEL=digits CODE=latency``."""
    caplog.set_level("INFO")
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        device = Device(tmp_path / "device", repo)
        device.order("digits", 1)
        device.settle()
        manifest = repo.assignment("digits", 2).manifest_sha256
        device.serve.tried[manifest] = Tried(code="latency", detail="too slow")
        device.order("digits", 2)
        device.settle()
        device.stop()
    fields: list[dict[str, Any]] = [getattr(r, "journal_fields", {}) for r in caplog.records]
    assert {"MODEL": "digits", "RELEASE": "2", "CODE": "latency"} in fields
    assert {"MODEL": "digits", "RELEASE": "1"} in fields
    assert not any(one.get("CODE") and one["RELEASE"] == "1" for one in fields)


def test_the_journal_says_how_many_bytes_came_and_which_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever made patches looks here first for whether devices take them."""
    caplog.set_level("INFO")
    with RepositorySimulator(tmp_path) as repo:
        for release in (1, 2):
            repo.publish(repo.bundle("digits", release))
        device = Device(tmp_path / "device", repo)
        device.order("digits", 1)
        device.settle()
        device.order("digits", 2)
        device.settle()
        device.stop()
    fetched = [r.getMessage() for r in caplog.records if "fetched" in r.getMessage()]
    assert re.search(r"good none; [\d.]+ k?B came in [\d.e-]+ s: files \d plain$", fetched[0])
    assert "good 1; " in fetched[1]
