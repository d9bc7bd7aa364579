"""One thread for all updates: what waits is not kept waiting, and nobody is forgotten."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from littoral.wire.journal import State
from littoral_agent.hands import Hands
from littoral_agent.worker import Worker
from simulators.fleet import SETTINGS, Fleet
from simulators.repository import Fault


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    settings = SETTINGS.replace("probation_s = 0.3", "probation_s = 3.0")
    with Fleet(tmp_path, broker=False, settings=settings) as fleet:
        for release in (1, 2):
            fleet.repo.publish(fleet.repo.bundle("digits", release))
        fleet.repo.publish(fleet.repo.bundle("sounds", 1))
        fleet.enrol()
        yield fleet


def name_both(fleet: Fleet) -> None:
    """Let the director name both models."""
    fleet.version += 1
    both = [fleet.repo.assignment(model, 1) for model in ("digits", "sounds")]
    fleet.console.desire("pi-7", fleet.repo.director(*both, device="pi-7", version=fleet.version))


def test_a_newer_wish_ends_a_download_that_crawls(fleet: Fleet) -> None:
    fleet.repo.fault("blobs/*", Fault.SLOW, times=1)
    with fleet.agent():
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.journal("digits").state is State.FETCHING)
        fleet.wait(lambda: fleet.repo.sent)
        begun = time.monotonic()
        fleet.order("digits", 2)
        fleet.wait(lambda: fleet.serve.running == {"digits": 2})
        assert time.monotonic() - begun < 10


def test_a_candidate_is_watched_while_another_model_arrives(fleet: Fleet) -> None:
    with fleet.agent():
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.journal("digits").state is State.PROBATION)
        fleet.repo.fault("blobs/*", Fault.SLOW)
        name_both(fleet)
        fleet.wait(lambda: fleet.journal("sounds").state is State.FETCHING)
        fleet.wait(lambda: fleet.good("digits") == 1)
        assert fleet.journal("sounds").state is State.FETCHING


def test_a_stop_ends_a_download_at_once_and_counts_nothing(fleet: Fleet) -> None:
    with fleet.agent() as agent:
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.journal("digits").state is State.PROBATION)
        assert fleet.journal("digits").boot is not None
        fleet.repo.fault("blobs/*", Fault.SLOW)
        name_both(fleet)
        fleet.wait(lambda: fleet.journal("sounds").state is State.FETCHING)
        begun = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - begun < 5
    assert fleet.journal("digits").boot is None
    assert fleet.journal("digits").watched_s > 0


class Looks:
    """Wishes that find something at the second look, and whoever has to do it then."""

    def __init__(self) -> None:
        self.looks, self.due_s = 0, math.inf

    def look(self) -> None:
        self.looks += 1
        if self.looks == 2:
            self.due_s = 0.0


def test_what_a_second_look_finds_is_done_at_once() -> None:
    """The disk refused the first look of a turn: the second finds what is to be done."""
    looks = Looks()
    wishes = SimpleNamespace(work=looks.look, due_in_s=lambda: math.inf)
    life = SimpleNamespace(work=lambda: None, due_in_s=lambda: looks.due_s)
    worker = Worker(life, wishes, Hands(), changed=lambda: None)  # type: ignore[arg-type]
    assert worker.turn() == 0.0
