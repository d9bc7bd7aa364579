"""Real updates that stumble: on trial, on probation, on a board that is slowed down."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from littoral.wire.control import Tried
from littoral.wire.journal import State
from littoral_agent.deeds import running
from simulators.boards import BoardSimulator
from simulators.device import QUICK, Device
from simulators.repository import Fault, RepositorySimulator
from simulators.serve import DeniedOrderError


@pytest.mark.parametrize("code", ["memory", "deadline"])
def test_what_may_be_nobodys_fault_gets_three_tries(
    device: Device, repo: RepositorySimulator, code: str
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.tried[manifest] = Tried(code=code)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[2:] == [("stumbled", code), ("stumbled", code), ("failed", code)]


@pytest.mark.parametrize("code", ["outputs", "unhealthy"])
def test_a_candidate_that_fails_on_probation_is_gone_at_once(
    device: Device, repo: RepositorySimulator, code: str
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.probed[manifest] = Tried(code=code)
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("failed", code)
    assert (device.good("digits"), device.serve.running) == (1, {"digits": 1})


def test_serves_deaths_count_and_the_candidate_is_ordered_again(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "slow", repo, settings=replace(QUICK, probation_s=3600.0))
    first = replace(QUICK)
    device.settings = first
    device.order("digits", 1)
    device.settle(lambda: device.serve.running == {"digits": 1})
    for n in (1, 2):
        device.settle(lambda: device.serve.calls[-1:] == ["probe"])
        device.serve.crash()
        assert device.serve.running == {}, "a candidate is not loaded by itself"
        device.serve.calls.clear()
        device.settle(lambda: device.serve.running == {"digits": 1})
        assert device.life.journals["digits"].tries == n
    device.turn()
    device.serve.crash()
    device.settle(lambda: device.state("digits") is State.IDLE)
    assert device.told("digits")[-1] == ("failed", "crash")
    assert device.serve.running == {}
    device.stop()


def test_serve_that_cannot_run_it_here_is_no_fault_of_the_release(
    device: Device, repo: RepositorySimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.denied[manifest] = DeniedOrderError("backend-missing", "no such runtime")
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-1] == ("refused", "backend-missing")
    assert not device.life.journals["digits"].quarantine
    assert device.serve.running == {"digits": 1}


def test_a_candidate_that_passed_and_cannot_be_loaded_gets_three_tries(
    device: Device, repo: RepositorySimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    device.serve.denied[manifest] = DeniedOrderError("backend", "it does not load")
    device.order("digits", 2)
    device.settle()
    assert device.told("digits")[-3:] == [
        ("stumbled", "backend"),
        ("stumbled", "backend"),
        ("failed", "backend"),
    ]
    assert device.serve.running == {"digits": 1}


@pytest.mark.parametrize("killed", [False, True])
def test_a_first_release_that_is_dropped_on_probation_serves_no_more(
    tmp_path: Path, repo: RepositorySimulator, *, killed: bool
) -> None:
    """There is nothing to go back to: with the agent, it was forgotten that it had to stop."""
    device = Device(tmp_path / "first", repo, settings=replace(QUICK, probation_s=3600.0))
    device.order("digits", 1)
    device.settle(lambda: device.serve.running == {"digits": 1})
    repo.fault("*", Fault.NOT_FOUND)
    with pytest.MonkeyPatch.context() as patch:
        if killed:
            patch.setattr(running, "do", lambda *_: None)
        device.order("digits", 2)
        device.settle()
    device.restart_agent()
    device.settle()
    assert device.serve.running == {}
    device.stop()


HOT = 0x4  # of the firmware's bits: throttled now


@pytest.fixture
def board(tmp_path: Path) -> BoardSimulator:
    board = BoardSimulator(tmp_path / "machine")
    board.raspberry(throttled=HOT)
    return board


@pytest.fixture
def hot(tmp_path: Path, repo: RepositorySimulator, board: BoardSimulator) -> Iterator[Device]:
    """A device on which release 1 is good, busy, and the board slowed down by heat."""
    settings = replace(QUICK, probation_p95_slack_us=0.0)
    device = Device(tmp_path / "hot", repo, settings=settings, machine=board.root)
    device.order("digits", 1)
    device.settle()
    device.serve.traffic("digits", requests=50, p95_us=100)
    yield device
    device.stop()


def test_a_self_test_that_was_slow_on_a_throttled_board_gets_three_tries(
    hot: Device, repo: RepositorySimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    hot.serve.tried[manifest] = Tried(code="latency", detail="too slow")
    hot.order("digits", 2)
    hot.settle()
    steps = ["stumbled", "stumbled", "failed"]
    assert hot.told("digits")[-3:] == [(step, "throttled") for step in steps]
    assert (hot.good("digits"), hot.serve.running) == (1, {"digits": 1})


def test_what_was_slow_on_a_throttled_board_alone_is_good_when_it_has_cooled(
    hot: Device, repo: RepositorySimulator, board: BoardSimulator
) -> None:
    manifest = repo.assignment("digits", 2).manifest_sha256
    hot.serve.tried[manifest] = Tried(code="latency", detail="too slow")
    hot.order("digits", 2)
    hot.settle(lambda: hot.life.journals["digits"].tries == 1)
    board.raspberry()
    hot.serve.tried.clear()
    hot.settle()
    assert hot.good("digits") == 2


def test_slow_requests_on_probation_do_not_count_once_the_board_has_cooled(
    hot: Device, board: BoardSimulator
) -> None:
    hot.settings = replace(hot.settings, probation_s=0.5)
    hot.restart_agent()
    hot.order("digits", 2)
    hot.settle(lambda: hot.serve.running == {"digits": 2})
    hot.serve.traffic("digits", requests=50, p95_us=900)
    hot.settle(lambda: hot.told("digits")[-1:] == [("stumbled", "throttled")])
    assert hot.state("digits") is State.PROBATION
    board.raspberry()
    hot.serve.traffic("digits", requests=50, p95_us=100)
    hot.settle()
    assert hot.told("digits")[-1] == ("healthy", None)


def test_slow_requests_on_a_cool_board_are_the_candidates_own_fault(
    hot: Device, board: BoardSimulator
) -> None:
    board.raspberry()
    hot.settings = replace(hot.settings, probation_s=60.0)
    hot.restart_agent()
    hot.order("digits", 2)
    hot.settle(lambda: hot.serve.running == {"digits": 2})
    hot.serve.traffic("digits", requests=50, p95_us=900)
    hot.settle()
    assert hot.told("digits")[-1] == ("failed", "latency")
    assert hot.serve.running == {"digits": 1}


def _past(deadline_s: float) -> bool:
    return time.monotonic() > deadline_s


def test_probation_adds_up_over_reboots_that_let_the_agent_stop(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "often", repo, settings=replace(QUICK, probation_s=0.6))
    device.order("digits", 1)
    device.settle(lambda: device.serve.running == {"digits": 1})
    starts = 0
    while device.good("digits") is None:
        device.settle(partial(_past, time.monotonic() + 0.25))
        device.life.promises.rest()
        device.reboot()
        starts += 1
    assert 2 <= starts <= 5
    assert device.life.journals["digits"].tries == 0
    device.stop()


def test_a_model_that_nobody_asks_is_probed_at_the_start_and_at_the_end(
    tmp_path: Path, repo: RepositorySimulator
) -> None:
    device = Device(tmp_path / "idle", repo, settings=replace(QUICK, probation_s=0.3))
    device.order("digits", 1)
    device.settle()
    assert device.good("digits") == 1
    assert device.serve.calls.count("probe") == 2
    device.stop()


def test_what_runs_when_a_third_release_comes_while_the_second_is_on_probation(
    device: Device, repo: RepositorySimulator
) -> None:
    """The proven one, and nothing else, until the third has proven itself; and it is said."""
    repo.publish(repo.bundle("digits", 3))
    device.settings = replace(QUICK, probation_s=3600.0)
    device.restart_agent()
    device.order("digits", 2)
    device.settle(lambda: device.serve.running == {"digits": 2})
    repo.fault("blobs/*", Fault.BROKEN)
    device.order("digits", 3)
    device.settle(lambda: device.state("digits") is State.FETCHING)
    device.settle(lambda: device.serve.running == {"digits": 1})
    dropped = [one.update for one in device.reports if one.update][-2]
    assert (dropped.event, dropped.release, dropped.running) == ("dropped", 2, 1)
    assert dropped.detail == "release 2 was on probation; release 1, which is proven, runs again"
