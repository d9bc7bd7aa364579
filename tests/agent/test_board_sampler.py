"""A look each minute, the window of them, and what the status says."""

from pathlib import Path

import pytest

from littoral_agent.board.sampler import Sampler
from simulators.boards import BoardSimulator
from simulators.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pi(tmp_path: Path) -> BoardSimulator:
    board = BoardSimulator(tmp_path / "root")
    board.raspberry()
    return board


@pytest.fixture
def sampler(pi: BoardSimulator, clock: Clock, tmp_path: Path) -> Sampler:
    return Sampler(tmp_path, disk_low_mib=1, root=pi.root, clock=clock)


def minutes(sampler: Sampler, clock: Clock, many: int) -> list[bool]:
    news = []
    for _ in range(many):
        news.append(sampler.look())
        clock.now += 60
    return news


def test_a_window_has_a_reading_for_each_minute(sampler: Sampler, clock: Clock) -> None:
    for _ in range(900):
        sampler.look()
        clock.now += 1
    found = sampler.window()
    assert found is not None
    assert found.samples == 15
    assert found.temperature_c is not None
    assert found.temperature_c.mean == pytest.approx(48.2)
    sampler.forget(found.samples)
    assert sampler.window() is None


def test_readings_that_come_while_a_window_is_told_belong_to_the_next(
    sampler: Sampler, clock: Clock
) -> None:
    minutes(sampler, clock, 3)
    told = sampler.window()
    assert told is not None
    minutes(sampler, clock, 2)
    sampler.forget(told.samples)
    left = sampler.window()
    assert left is not None
    assert left.samples == 2


def test_an_alarm_is_news_when_it_comes_and_when_it_has_gone_for_an_hour(
    sampler: Sampler, pi: BoardSimulator, clock: Clock
) -> None:
    assert minutes(sampler, clock, 2) == [False, False]
    pi.raspberry(throttled=0x4, milli=82_000)
    assert minutes(sampler, clock, 3) == [True, False, False]
    assert sampler.board.alarms == ("hot", "throttled")
    pi.raspberry()
    news = minutes(sampler, clock, 70)
    assert news.count(True) == 1
    assert not sampler.board.alarms


def test_a_flapping_board_says_so_once(sampler: Sampler, pi: BoardSimulator, clock: Clock) -> None:
    news = []
    for n in range(120):
        pi.raspberry(throttled=0x4 if n % 2 else 0)
        news += minutes(sampler, clock, 1)
    assert news.count(True) == 1


def test_a_stick_that_is_pulled_is_news(sampler: Sampler, pi: BoardSimulator, clock: Clock) -> None:
    minutes(sampler, clock, 1)
    pi.stick()
    assert minutes(sampler, clock, 1) == [True]
    assert sampler.board.accelerators == ("Edge TPU, USB, 1-1.2",)


def test_a_day_without_anybody_who_listens_fills_no_memory(sampler: Sampler, clock: Clock) -> None:
    minutes(sampler, clock, 1500)
    found = sampler.window()
    assert found is not None
    assert found.samples == 1440
